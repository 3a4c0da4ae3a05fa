"""What the integration tests, the demo and the bench share: real servers, riotd, writers, a proxy, a comparison."""
