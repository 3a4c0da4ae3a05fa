"""A migration under systemd, from the first start to its end."""

from kit.acked import Acked
from kit.compare import assert_equal
from kit.wait import until


def test_a_migration_from_start_to_cutover_loses_nothing(box, source, target, link, tmp_path):
    orders = link("orders")
    with source.raw() as client:
        client.must([("SET", f"before:{n}", n) for n in range(20_000)])
    orders.start()
    # Type=notify: from now on it answers.
    assert orders.status()["state"] in ("connecting", "snapshot", "live")
    writers = Acked(source, str(tmp_path), writers=4, rate=1000)
    with writers:
        orders.wait("live")
        at = writers.acknowledged
        until(lambda: writers.acknowledged > at + 500, what="writes while live")
        orders.must("cutover")
        until(lambda: writers.refused, what="writers are refused")
    committed = orders.status()["cutover"]
    assert committed["state"] == "committed", committed
    verdict = writers.judge(target)
    assert verdict.acknowledged > 500 and not verdict.missing, str(verdict)
    assert_equal(source, target, at_least=20_000)
    orders.must("finish")
    assert orders.status()["state"] == "finished"
