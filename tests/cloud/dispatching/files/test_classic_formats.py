"""The classic text formats: read, written, recognised, and refused with the place of the mistake."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.files import fjsp, jsp
from cloud.dispatching.files.formats import Format, problem_from, problem_written, read_problem
from cloud.dispatching.files.instance import Instance
from cloud.dispatching.files.naming import NotExpressible, instance_of, problem_of
from cloud.dispatching.shop.validation import validate
from protocols.documents import DocumentError
from tests.cloud.dispatching.files.classic import instances
from tests.cloud.dispatching.random_shop import random_shop

ROOT = Path(__file__).parents[4]
DATA = Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared")) / "data" / "scheduling"
SOURCES = "SchedulingLab/fjsp-instances, SchedulingLab/jsp-instances and the TU/e JSS benchmark on GitHub"
SIZES = {
    "fjsp-brandimarte/mk01.txt": (10, 6, 55),
    "fjsp-brandimarte/mk10.txt": (20, 15, 240),
    "fjsp-barnes/mt10c1.txt": (10, 11, 100),
    "fjsp-kacem/k1.txt": (4, 5, 12),
    "fjsp-sdst-fattahi/Fattahi_setup_01.fjs": (2, 2, 4),
    "jsp-ft/ft10.txt": (10, 10, 100),
    "jsp-mt/mt00.txt": (792, 48, 5372),
}
"""Jobs, machines and operations, counted by hand or as their publishers say."""


@given(instances(flexible=False))
def test_a_job_shop_is_read_as_it_was_written(instance: Instance) -> None:
    assert jsp.read(jsp.write(instance), "x.txt") == instance


@given(instances(flexible=True))
def test_a_flexible_shop_is_read_as_it_was_written(instance: Instance) -> None:
    assert fjsp.read(fjsp.write(instance), "x.txt") == instance


@given(instances(flexible=True, setups=True))
def test_a_shop_with_setups_is_read_as_it_was_written(instance: Instance) -> None:
    read = fjsp.read_with_setups(fjsp.write_with_setups(instance), "x.fjs")
    assert (read.jobs, read.setups, read.machines) == (instance.jobs, instance.setups, instance.machines)


@given(instances(flexible=True, setups=True))
def test_a_problem_keeps_every_time_and_every_setup_that_can_happen(instance: Instance) -> None:
    problem = problem_of(instance)
    assert validate(problem) == []
    operations = problem.operations
    steps = [step for job in instance.jobs for step in job]
    for m, machine in enumerate(problem.machines):
        able = [n for n, step in enumerate(steps) if any(m == one for one, _ in step)]
        for i in able:
            assert machine.changeover(machine.setup, operations[i].setup) == 0
            for j in able:
                wanted = instance.setups[m][i][j] if i != j else 0
                assert machine.changeover(operations[i].setup, operations[j].setup) == wanted
    back = instance_of(problem, "sdst", flexible=True, setups=True)
    assert back.jobs == instance.jobs
    assert problem_of(back) == problem


@given(instances(flexible=True), st.sampled_from([Format.FJSP, Format.JSON]))
def test_a_problem_goes_out_and_in_again(instance: Instance, kind: Format) -> None:
    problem = problem_of(instance)
    assert problem_from(problem_written(problem, kind), "x.txt", kind).problem == problem


JSP = "2 2\n0 3 1 2\n1 4 0 1\n"
FJSP = "2 2\n2 2 0 3 1 5 1 1 2\n1 1 0 4\n"
SDST = "1 2 1\n2 1 1 3 2 1 4 2 5\n\n0 2\n3 0\n\n0 1\n1 0\n"


@pytest.mark.parametrize(("text", "operations"), [(JSP, 4), (FJSP, 3), (SDST, 2)])
def test_a_format_is_recognised(text: str, operations: int) -> None:
    assert len(problem_from(text, "x.txt").problem.operations) == operations


def test_blank_lines_comments_and_tabs_do_not_matter() -> None:
    text = "# ours\n\n2\t2  \n 0\t3 1 2\r\n\n1 4 0 1"
    assert problem_from(text, "x.txt") == problem_from(JSP, "x.txt")


def test_machines_that_count_from_one_are_the_same_shop() -> None:
    ones = "2 2 1.5\n2 2 1 3 2 5 1 2 2\n1 1 1 4\n"
    assert fjsp.read(ones, "x").jobs == fjsp.read(FJSP, "x").jobs
    assert [m.id for m in problem_from(ones, "x").problem.machines] == ["M1", "M2"]


def test_what_can_be_read_in_two_ways_is_not_guessed() -> None:
    text = "1 2\n1 1 0 5\n"  # two pairs, or one step with one choice
    with pytest.raises(DocumentError, match="jsp or fjsp: say --format"):
        problem_from(text, "x.txt")
    assert len(problem_from(text, "x.txt", Format.JSP).problem.operations) == 2
    assert len(problem_from(text, "x.txt", Format.FJSP).problem.operations) == 1


BROKEN = {
    "empty": ("", None, "1:1", "begins with the numbers of jobs"),
    "no machines": ("3\n", Format.JSP, "1:2", "the number of machines should stand (1 to 100000)"),
    "zero jobs": ("0 3\n", Format.JSP, "1:1", '"0" is out of range, allowed 1 to 1000000'),
    "a word": ("2 2\n0 x 1 2\n1 4 0 1\n", Format.JSP, "2:3", 'time on machine 0: "x" is not a whole number'),
    "a machine too many": (
        "2 2\n0 3 2 2\n1 4 0 1\n", Format.JSP, "2:5", 'a machine: "2" is out of range, allowed 0 to 1'),
    "half a pair": ("2 2\n0 3 1\n1 4 0 1\n", Format.JSP, "2:6", "the line ends where the time on machine 1"),
    "a job missing": ("3 2\n0 3\n1 4\n", Format.JSP, "3:4", "3 lines of jobs are announced, 2 are here"),
    "a job too many": ("1 2\n0 3\n1 4\n", Format.JSP, "3:1", "1 lines of jobs are announced, here is one"),
    "a negative time": ("1 2\n0 -3\n", Format.JSP, "2:3", '"-3" is out of range, allowed 0 or more'),
    "no steps": ("1 2\n0\n", Format.FJSP, "2:1", '"0" is out of range, allowed 1'),
    "no choice": ("1 2\n1 0\n", Format.FJSP, "2:3", 'choices of step 1: "0" is out of range, allowed 1 to 2'),
    "a machine twice": ("1 2\n1 2 1 3 1 4\n", Format.FJSP, "2:9", "step 1 names machine 1 twice"),
    "too long": ("1 2\n1 1 0 4 7\n", Format.FJSP, "2:9", '"7" is too much: the line announces 1 steps'),
    "both countings": (
        "2 2\n1 1 0 4\n1 1 2 4\n", Format.FJSP, "3:5", 'a machine: "2" is out of range, allowed 0 to 1'),
    "third is a word": ("1 2 many\n1 1 0 4\n", Format.FJSP, "1:5", '"many" is not a number'),
    "setup row missing": (SDST.rsplit("1 0", 1)[0], Format.SDST, "7:4", "need 2 × 2 rows"),
    "setup row short": (SDST.replace("3 0", "3"), Format.SDST, "5:2", "the line ends where a set-up should"),
    "setup row long": (SDST.replace("3 0", "3 0 9"), Format.SDST, "5:5", "a row of set-ups has 2 numbers"),
    "setup rows too many": (SDST + "0 0\n", Format.SDST, "9:1", "4 rows of set-ups are expected"),
    "huge number": ("1 1\n0 " + "9" * 5000 + "\n", Format.JSP, "2:3", "is not a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_shown_where_it_is(name: str) -> None:
    text, kind, place, message = BROKEN[name]
    with pytest.raises(DocumentError) as caught:
        problem_from(text, "x.txt", kind)
    said = str(caught.value)
    assert said.startswith(f"x.txt:{place}  ")
    assert message in said


@given(st.text(alphabet="0123456789 \n-x#{", max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    try:
        found = problem_from(text, "x.txt")
    except DocumentError as error:
        refused = error.problems
    else:
        refused = []
        assert found.problem.machines
        assert {o.id for o in found.problem.operations}
    assert all(p.line >= 1 and p.col >= 1 for p in refused)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.txt  cannot be read: No such file"):
        read_problem(tmp_path / "none.txt")


def test_bytes_that_are_no_text_have_a_place(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"2 2\n0 \xff")
    with pytest.raises(DocumentError, match=r"x\.txt:2:3  not UTF-8"):
        read_problem(tmp_path / "x.txt")


def test_what_a_text_format_cannot_say_is_listed() -> None:
    problem = random_shop(random.Random(3), operations=12)
    with pytest.raises(NotExpressible) as caught:
        problem_written(problem, Format.JSP)
    said = str(caught.value)
    for part in ("maintenance: 1", "transport times", "has a due date", "has changeovers"):
        assert part in said


def test_own_setup_times_are_part_of_the_time() -> None:
    problem = problem_of(jsp.read(JSP, "x"))
    first = problem.operations[0]
    longer = replace(first, alternatives=(replace(first.alternatives[0], setup_seconds=7),))
    text = problem_written(replace(problem, operations=(longer, *problem.operations[1:])), Format.JSP)
    assert text.splitlines()[1] == "0 10 1 2"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no instances under ONELOT_SHARED/data/scheduling: {SOURCES}")
@pytest.mark.parametrize("name", SIZES)
def test_published_instances_are_read(name: str) -> None:
    jobs, machines, operations = SIZES[name]
    problem = read_problem(DATA / name).problem
    assert len({o.job_id for o in problem.operations}) == jobs
    assert (len(problem.machines), len(problem.operations)) == (machines, operations)
    assert validate(problem) == []
