"""Servers as managed services have them: commands taken away, by the ACL or as unknown ones, and an INFO that tells little.

What each forbids is from its documentation. A service may say NOPERM or "unknown command": `denied` is by an ACL user, `renamed` by rename-command.
"""

import os

from kit.proxy import bulk

PASSWORD = "of-riotd"


class Profile:
    def __init__(self, name, commands=(), subcommands=(), info=None):
        self.name, self.commands, self.subcommands, self.info = name, commands, subcommands, info

    def args(self):
        """For a server that knows none of its commands; its subcommands are not to be had so."""
        return [word for command in self.commands for word in ("--rename-command", command, "")]

    def rules(self, server):
        return [rule for rule in (*(f"-{c}" for c in self.commands), *(f"-{c}" for c in self.subcommands)) if known(server, rule)]

    def user(self, server, folder, name="riotd"):
        """A user of the server that may do all that the service lets one do; returns where its password is."""
        channels = ["&*"] if server.version >= (6, 2) else []
        server.call("ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", "~*", *channels, "+@all", *self.rules(server))
        path = os.path.join(folder, f"{self.name}-password")
        with open(path, "w", encoding="ascii") as file:
            file.write(PASSWORD)
        return path

    def thin(self, proxy, *more):
        """INFO behind this proxy tells no more than the service's does. more: what lines may begin with besides."""
        def on_reply(_connection, argv, value):
            if not argv or argv[0].upper() != b"INFO" or not isinstance(value, bytes):
                return None
            lines = [line for line in value.decode().split("\r\n") if line.startswith("#") or line.split(":", 1)[0] in self.info or line.startswith(("db", *more))]
            return bulk("\r\n".join(lines).encode())

        proxy.on_reply = on_reply
        return proxy


def known(server, rule):
    command, _, sub = rule[1:].partition("|")
    return server.has(command) and (sub != "no-touch" or server.version >= (7, 2))


# Parameter groups instead of CONFIG, an API instead of ACL; clients are not restricted.
ELASTICACHE = Profile("elasticache", ["acl", "bgrewriteaof", "bgsave", "config", "debug", "migrate", "module", "psync", "replicaof", "save", "shutdown",
                                      "slaveof", "sync"])
# One database; no pause, no tracking by redirection, no replication, and few words about itself.
REDIS_CLOUD = Profile("redis-cloud", ["acl", "bgrewriteaof", "bgsave", "debug", "failover", "lastsave", "migrate", "module", "move", "psync", "replconf",
                                      "replicaof", "role", "save", "select", "shutdown", "slaveof", "swapdb", "sync"],
                      ["client|pause", "client|unpause", "client|tracking", "client|trackinginfo", "client|no-touch", "config|set"],
                      {"redis_version", "redis_mode", "run_id", "tcp_port", "uptime_in_seconds", "connected_clients", "used_memory", "role",
                       "connected_slaves", "total_commands_processed", "instantaneous_ops_per_sec", "expired_keys", "keyspace_hits", "keyspace_misses"})
# Nothing that would tell one life of a server from another.
NAMELESS = Profile("nameless", info=REDIS_CLOUD.info - {"run_id", "total_commands_processed"})
# gcloud instead of CONFIG, and no word about clients, objects or commands.
MEMORYSTORE = Profile("memorystore", ["acl", "bgrewriteaof", "bgsave", "client", "cluster", "command", "config", "debug", "lastsave", "migrate", "module",
                                      "monitor", "object", "psync", "replicaof", "save", "shutdown", "slaveof", "sync"])
