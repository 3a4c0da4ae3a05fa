"""Fixtures: `box` is a booted Debian with riotd's package, which all tests of a file share; `source` and `target` are two Redis services on it,
and `link` makes links between them, for one test."""

import glob
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

# pylint: disable=wrong-import-position
from container import CannotBoot, Container  # noqa: E402
from kit.riot import TOP  # noqa: E402
from services import Link, Redis  # noqa: E402

boxes = []


def package():
    """The newest that `make deb` made, or the one that RIOT_DEB names."""
    debs = sorted(glob.glob(os.path.join(TOP, "build", "deb", "riotd_*.deb")), key=os.path.getmtime)
    path = os.environ.get("RIOT_DEB") or (debs[-1] if debs else None)
    return path or pytest.exit("no package below build/deb; `make deb` makes it", 2)


def needs(path):
    """The names of the packages that a package needs."""
    depends = subprocess.run(["dpkg-deb", "-f", path, "Depends"], check=True, capture_output=True, text=True).stdout
    return [re.match(r"[a-z0-9.+-]+", each.strip())[0] for each in depends.split(",")]


@pytest.fixture(scope="session")
def deb():
    return package()


@pytest.fixture(scope="session")
def base(deb):
    made = subprocess.run([os.path.join(HERE, "base"), *needs(deb)], stdout=subprocess.PIPE, text=True, check=False)
    return made.stdout.strip() if made.returncode == 0 else pytest.exit("the base of the service tests could not be made", 2)


@pytest.fixture(scope="module")
def bare(base, tmp_path_factory):
    """A booted Debian without riotd."""
    box = Container(base, str(tmp_path_factory.mktemp("box")))
    try:
        boxes.append(box.up())
    except CannotBoot as err:
        pytest.exit(f"this machine cannot boot containers, RIOT_SKIP_SERVICE_TESTS=1 leaves these tests out: {err}", 1)
    yield box
    boxes.remove(box)
    box.down()


@pytest.fixture(scope="module")
def box(bare, deb):
    bare.install(deb)
    return bare


@pytest.fixture
def source(bare):
    """Empty at the begin of each test."""
    return Redis(bare, "source", 7001, "source").begin()


@pytest.fixture
def target(bare):
    return Redis(bare, "target", 7002, "target").begin()


@pytest.fixture
def link(box, source, target):
    """A function that makes a link, of source and target if not told otherwise, not started yet. It ends with the test."""
    links = []

    def make(name="orders", to=target, **options):
        links.append(Link(box, name, source, to, **options))
        return links[-1]

    yield make
    for each in links:
        each.remove()


@pytest.fixture(autouse=True)
def since():
    """A test that fails shows the journal from its begin on."""
    for box in boxes:
        box.since = box.cursor()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.failed:
        report.sections += [(f"journal of {box.name}", box.tell(box.since)) for box in boxes]
