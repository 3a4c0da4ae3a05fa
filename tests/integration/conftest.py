"""Fixtures: `lab` is a source, a target and whatever else a test needs, in a folder of its own; it all ends with the test."""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from kit.cluster import Cluster  # noqa: E402
from kit.compare import assert_equal  # noqa: E402
from kit.proxy import Proxy  # noqa: E402
from kit.riot import Riotd, program  # noqa: E402
from kit.server import RedisServer, source_binary, target_binary  # noqa: E402
from kit.wait import SCALE  # noqa: E402

TEST_S, LONG_TEST_S = 400, 3000
FEED = os.environ.get("RIOT_FEED")  # the only one that is tried, also where a test leaves it to riotd


class Lab:
    """Owns every server, proxy and riotd of a test."""

    def __init__(self, folder):
        self.folder = folder
        self.servers, self.proxies, self.links = [], [], []
        self._source = self._target = None

    @property
    def source(self):
        if not self._source:
            self._source = self.server("source", source_binary()).start()
        return self._source

    @property
    def target(self):
        if not self._target:
            self._target = self.server("target", target_binary()).start()
        return self._target

    @source.setter
    def source(self, server):
        self._source = server

    @target.setter
    def target(self, server):
        self._target = server

    def server(self, name, binary=None, **options):
        """Another server; not started yet."""
        server = RedisServer(self.folder, name, binary, **options)
        self.servers.append(server)
        return server

    def cluster(self, name, **options):
        """A running cluster; one that is named "target" is of the target's make."""
        cluster = Cluster(self.folder, name, binary=target_binary() if name == "target" else source_binary(), **options)
        self.servers.append(cluster)
        return cluster.start()

    def proxy(self, server, name=None, tcp=False):
        proxy = Proxy(self.folder, server, name or f"{server.name}-proxy", tcp)
        self.proxies.append(proxy)
        return proxy

    def link(self, source=None, target=None, name="test", start=True, **options):
        """A riotd from source to target (servers, proxies or URLs), started unless told otherwise."""
        source = source or self.source
        if FEED and options.get("feed", "auto") == "auto":
            options["feed"] = FEED
        if options.get("feed") == "psync":
            self.give_backlog(source)
            options.setdefault("psync__full_sync", True)  # should it lose its backlog
        urls = [end if isinstance(end, str) else end.url() for end in (source, target or self.target)]
        riotd = Riotd(self.folder, *urls, name=name, **options)
        self.links.append(riotd)
        return riotd.start() if start else riotd

    def give_backlog(self, end):
        """To the server or cluster behind a link's source, if that runs: for the feed psync."""
        if isinstance(end, str):
            behind = [s for s in self.servers if isinstance(s, RedisServer) and (s.path in end or f":{s.port}" in end)]
        else:
            behind = [end.behind if isinstance(end, Proxy) else end]
        for server in behind:
            if isinstance(server, Cluster) or server.process:
                server.give_backlog()

    def live(self, *args, timeout=30, **options):
        """A link that has become live."""
        return self.link(*args, **options).wait("live", timeout)

    def equal(self, riotd=None, at_least=0, timeout=60, **options):
        """Waits for the drain, then both sides must be equal. Returns how many keys there are."""
        riotd = riotd or self.links[-1]
        riotd.wait("drained", timeout)
        return assert_equal(self.source, self.target, at_least=at_least, **options)

    def tell(self):
        """For a test that failed: what each riotd says."""
        for riotd in self.links:
            print(f"--- riotd {riotd.name}: log")
            print(riotd.log()[-8000:])
            try:
                print(f"--- riotd {riotd.name}: status")
                print(json.dumps(riotd.status(), indent=1))
            except Exception as err:  # pylint: disable=broad-except
                print(err)

    def end(self):
        """Ends everything; what riotd has to answer for is raised at last."""
        errors = []
        for riotd in self.links:
            try:
                riotd.stop()
                riotd.check_log()
            except AssertionError as err:
                errors.append(err)
        for proxy in self.proxies:
            proxy.close()
        for server in self.servers:
            server.stop()
        if errors:
            raise errors[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_in_call = outcome.get_result().failed


@pytest.fixture
def lab(request):
    folder = tempfile.mkdtemp(prefix="riot-")
    lab = Lab(folder)
    try:
        yield lab
        if getattr(request.node, "failed_in_call", False):
            lab.tell()
    finally:
        try:
            lab.end()
        finally:
            if not os.environ.get("RIOT_KEEP"):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=[FEED] if FEED else ["tracking", "notify", "psync"])
def feed(request):
    return request.param


@pytest.fixture(autouse=True)
def not_for_ever(request):
    """A test that hangs fails."""
    seconds = int((LONG_TEST_S if request.node.get_closest_marker("long") else TEST_S) * SCALE)
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(_signal, _frame):
        raise AssertionError(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_sessionstart(session):
    if session.config.option.collectonly:
        return
    for name in ("riotd", "riotctl"):
        if not os.path.exists(program(name)):
            pytest.exit(f"{program(name)} is not there; make it first", 2)
