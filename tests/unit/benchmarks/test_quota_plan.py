"""What is measured: every case has a place, a name and a GPU on which it fits."""

from benchmarks.quota import plan
from benchmarks.quota.cases import batches

from gshare.modes import RECT, Packer
from gshare.rectangles import Size


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in plan.full()]

    assert len(names) == len(set(names))


def test_the_whole_grid_of_lone_leases_is_measured():
    grid = {case for case in plan.full() if case.topic.startswith("alone, ")}

    assert len(grid) == 6 * 5 * 4 * 3


def test_every_set_of_leases_fits_one_gpu():
    for case in plan.full():
        sizes = {each.name: Size(each.quota_percent, each.sm_percent) for each in case.clients}

        assert Packer(RECT).arrange(sizes), case.name


def test_the_quick_plan_measures_known_cases_once_and_briefly():
    known = {case.name for case in plan.full()}
    quick = plan.quick()

    assert {case.name for case in quick} <= known
    assert all(case.runs == 1 for case in quick)
    assert sum(case.seconds for case in quick) < 125


def test_a_name_means_one_case_before_all_that_begin_with_it():
    assert [case.name for case in plan.named("python")] == ["python"]
    assert {case.name for case in plan.named("pair")} == {"pair-30-70", "pair-20-80"}
    assert plan.named("no such case") == []


def test_long_kernels_are_measured_side_by_side_and_short_ones_alone():
    cases = plan.named("alone-10us-tight-q5") + plan.named("alone-7300us-tight-q5")

    assert [len(batch) for batch in batches(cases, lanes=3)] == [1, 1, 1, 1, 1, 3, 2]


def test_no_case_is_lost_or_doubled_by_grouping():
    cases = plan.full()

    assert [case for batch in batches(cases, lanes=3) for case in batch] == cases
