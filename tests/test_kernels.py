"""Warm kernels: real kernels, run the way the runner runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import nbformat
import papermill
import pytest
from conftest import WARM
from nbclient.exceptions import DeadKernelError

from trimtab.errors import BusyError
from trimtab.run import kernels, notebooks
from trimtab.run import server as warm_server
from trimtab.run.deadlines import Limits

pytestmark = pytest.mark.skipif(not warm_server.available(), reason="this platform cannot fork kernels")

LIMITS = Limits(timedelta(minutes=5), timedelta(minutes=6))
PATIENCE = 30.0  # seconds until a thing that should happen soon counts as not happening


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    warm_server.start()
    yield
    kernels.stop_server()
    warm_server.start(WARM)    # without it the next test that trains would start a cold one, for all tests after it


def run_notebook(folder: Path, *cells: str, kernel: str = "no-such-kernel") -> list[str]:
    """Run cells as a notebook in a warm kernel, and return what each printed."""
    done = papermill.execute_notebook(
        write_notebook(folder, *cells, kernel=kernel),
        str(folder / "out.ipynb"),
        cwd=str(folder),
        progress_bar=False,
        kernel_manager_class=kernels.WarmKernelManager,
    )
    return ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in done.cells]


def write_notebook(folder: Path, *cells: str, kernel: str = "no-such-kernel") -> str:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    notebook.metadata.kernelspec = {"name": kernel, "language": "python", "display_name": kernel}
    path = folder / "in.ipynb"
    nbformat.write(notebook, path)
    return str(path)


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry that nobody has collected yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until_gone(*pids: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while any(is_running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_nothing_leaks_from_one_notebook_to_the_next(tmp_path: Path) -> None:
    """X09: warm kernels, each notebook still in its own process."""
    ask = """
        import os, math
        print("left" in globals(), hasattr(math, "left"), "LEFT_BEHIND" in os.environ)
    """
    leave = "left = 1; math.left = 1; os.environ['LEFT_BEHIND'] = '1'; print(os.getpid())"
    clean, first = run_notebook(tmp_path, ask, leave)
    still_clean, second = run_notebook(tmp_path, ask, leave)
    assert clean == still_clean == "False False False"
    assert first != second
    assert "LEFT_BEHIND" not in os.environ


def test_server_has_a_single_thread_and_no_terminal_when_it_forks(tmp_path: Path) -> None:
    answer = run_notebook(
        tmp_path,
        """
        import os
        server = os.getppid()
        print(len(os.listdir(f"/proc/{server}/task")), os.getsid(server) == server, os.getsid(0) == os.getpid())
        """,
    )
    assert answer == ["1 True True"]


def test_heavy_libraries_are_imported_before_the_notebook_starts(tmp_path: Path) -> None:
    wanted = ["sklearn.ensemble", "mlflow", "matplotlib.pyplot", "ibis.backends.duckdb", "skops.io"]
    assert run_notebook(tmp_path, f"import sys; print([m for m in {wanted} if m not in sys.modules])") == ["[]"]


def test_kernel_finds_the_folder_environment_and_input_of_a_program_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_AFTER_SERVER_START", "yes")
    answer = run_notebook(
        tmp_path,
        """
        import multiprocessing, os, sys
        print(os.getcwd(), os.environ["SET_AFTER_SERVER_START"], os.readlink("/proc/self/fd/0"))
        print(sys.argv[0], multiprocessing.get_start_method(), "TRIMTAB_FORKSERVER" in os.environ)
        print("pytest" in sys.modules, "__file__" in vars(sys.modules["__main__"]))
        """,
    )
    assert answer == [
        f"{tmp_path} yes /dev/null\nipykernel_launcher {default_start_method()} False\nFalse False",
    ]


def default_start_method() -> str:
    code = "import multiprocessing; print(multiprocessing.get_start_method())"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def test_main_script_of_the_runner_is_not_run_again_in_the_kernel(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        textwrap.dedent(f"""
        print("main was run")  # and there is no guard around what follows
        import papermill
        from trimtab.run import kernels, notebooks
        from trimtab.run import server as warm_server
        warm_server.PRELOAD = ()  # a cold server starts faster
        warm_server.start()
        papermill.execute_notebook({write_notebook(tmp_path, "1")!r}, {str(tmp_path / "out.ipynb")!r},
                                   progress_bar=False, kernel_manager_class=kernels.WarmKernelManager)
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "main was run\n"


def test_random_numbers_differ_between_kernels(tmp_path: Path) -> None:
    draw = "import random, numpy; print(numpy.random.rand(), random.random())"
    first, second = run_notebook(tmp_path, draw)[0].split(), run_notebook(tmp_path, draw)[0].split()
    assert not set(first) & set(second)


def test_figures_are_shown_inline(tmp_path: Path) -> None:
    run_notebook(tmp_path, "import matplotlib.pyplot as plt; plt.plot([1, 2]);")
    outputs = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].outputs
    assert [sorted(output.get("data", {})) for output in outputs] == [["image/png", "text/plain"]]


def test_gradient_boosting_trains_in_a_kernel_and_in_a_process_from_the_same_warm_server(tmp_path: Path) -> None:
    (tmp_path / "shadow.py").write_text(
        textwrap.dedent("""
        import os, sys

        def train(answers=None):
            warm = "sklearn.ensemble" in sys.modules
            import numpy
            from sklearn.ensemble import HistGradientBoostingClassifier
            x = numpy.random.default_rng(0).normal(size=(3000, 4))
            model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(x, x[:, 0] + x[:, 1] > 0)
            answer = os.getppid(), warm, round(model.score(x, x[:, 0] + x[:, 1] > 0), 6)
            if answers is not None:
                answers.send(answer)
            return answer
        """)
    )
    in_kernel, in_sibling = run_notebook(
        tmp_path,
        "import shadow; print(shadow.train())",
        """
        import multiprocessing
        context = multiprocessing.get_context("forkserver")
        answers, end = context.Pipe(duplex=False)
        process = context.Process(target=shadow.train, args=(end,))
        process.start(); end.close()
        print(answers.recv()); process.join()
        assert process.exitcode == 0
        """,
    )
    assert in_kernel == in_sibling  # the same parent, already warm, the same model
    assert ", True, 0.9" in in_kernel


def test_killed_kernel_ends_the_notebook_with_an_error_and_the_next_one_runs(tmp_path: Path) -> None:
    with pytest.raises(DeadKernelError):
        run_notebook(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run_notebook(tmp_path, "print('next')") == ["next"]


def test_exit_handlers_of_a_notebook_run(tmp_path: Path) -> None:
    run_notebook(tmp_path, "import atexit, pathlib; atexit.register(pathlib.Path('left').touch)")
    assert (tmp_path / "left").exists()


def test_process_looks_like_popen_and_a_signal_reaches_only_the_kernel(tmp_path: Path) -> None:
    kernel = kernels.KernelProcess(str(tmp_path / "connection.json"), str(tmp_path), dict(os.environ))
    assert kernel.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        kernel.wait(timeout=0.01)
    kernel.kill_group()  # most likely before the kernel has a group of its own
    assert kernel.wait(timeout=PATIENCE) == kernel.poll() == -signal.SIGKILL
    kernel.terminate()
    assert run_notebook(tmp_path, "print('the server lives')") == ["the server lives"]


RUNNER = """
import os, signal, sys, time
import papermill
signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell's background job would not hear it
from trimtab.run import kernels, notebooks
from trimtab.run import server as warm_server
warm_server.start()
papermill.execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False, kernel_manager_class=kernels.WarmKernelManager)
"""
REPORT_AND_SLEEP = """
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids.part").write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
os.rename("pids.part", "pids")
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_remains_when_the_runner_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    notebook = write_notebook(tmp_path, REPORT_AND_SLEEP)
    command = [sys.executable, "-c", RUNNER, notebook, str(tmp_path / "out.ipynb")]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True) as runner:
        pids = [int(pid) for pid in wait_for_text(tmp_path / "pids", runner).split()]
        if how == signal.SIGINT:
            os.killpg(runner.pid, how)  # as Ctrl-C does, to all of the terminal's foreground group
        else:
            runner.kill()
        assert runner.wait(PATIENCE) != 0
    assert wait_until_gone(*pids)


def wait_for_text(path: Path, runner: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 2 * PATIENCE
    while not path.exists():
        assert runner.poll() is None, "the runner ended early"
        assert time.monotonic() < deadline, "the notebook did not start"
        time.sleep(0.05)
    return path.read_text()


def test_client_of_a_warm_kernel_begins_as_soon_as_it_answers() -> None:
    assert isinstance(kernels.WarmKernelManager().client(), kernels.WarmKernelClient)


def test_server_stops_at_once_and_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = run_notebook(tmp_path, "import os; print(os.getppid())")
    began = time.monotonic()
    kernels.stop_server()
    kernels.stop_server()  # nothing left to do
    assert time.monotonic() - began < PATIENCE
    assert not is_running(int(before))
    monkeypatch.setattr(warm_server, "PRELOAD", ())  # a cold server starts faster
    (after,) = run_notebook(tmp_path, "import os; print(os.getppid())")
    assert after != before
    kernels.stop_server()


def test_modules_for_later_kernels_are_imported_while_the_first_one_works(tmp_path: Path) -> None:
    kernels.stop_server()
    warm_server.start(later=("wave",))
    ask = "import signal, sys; print('wave' in sys.modules, signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)"
    assert run_notebook(tmp_path, ask) == ["False True"]
    assert run_notebook(tmp_path, ask) == ["True True"]
    kernels.stop_server()


def test_user_settings_win_over_default_thread_counts() -> None:
    asked = {"OMP_NUM_THREADS": "3", "OMP_THREAD_LIMIT": "4", "OPENBLAS_NUM_THREADS": "2", "GOMP_SPINCOUNT": "5"}
    assert warm_server.thread_environment(asked) == asked
    assert warm_server.thread_environment({"OMP_NUM_THREADS": "3"})["OMP_THREAD_LIMIT"] == "3"
    assert warm_server.thread_environment({"OMP_NUM_THREADS": "3"})["OPENBLAS_NUM_THREADS"] == "1"
    cores = min(len(os.sched_getaffinity(0)), warm_server.MOST_THREADS)
    assert warm_server.thread_environment({})["OMP_THREAD_LIMIT"] == str(cores)
    assert warm_server.thread_environment({})["OMP_NUM_THREADS"] == "1"


def test_importing_the_preload_module_elsewhere_changes_nothing() -> None:
    code = "import os, sys; before = os.getsid(0); import trimtab.run.preload; print(os.getsid(0) == before)"
    code += "; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]


def test_secret_that_a_notebook_prints_is_in_none_of_what_is_saved(tmp_path: Path) -> None:
    source = write_notebook(tmp_path, "print('hunter2')")
    target = tmp_path / "out.ipynb"
    redact: Callable[[str], str] = lambda text: text.replace("hunter2", "***")    # noqa: E731
    notebooks.execute(Path(source), target, {}, warm=True, limits=LIMITS, redact=redact, progress=False)
    assert "***" in target.read_text()
    assert "hunter2" not in target.read_text().replace("print('***')", "")


def test_secret_of_several_lines_is_in_none_of_what_is_saved(tmp_path: Path) -> None:
    """A notebook's file holds texts line by line."""
    key = "BEGIN KEY\nfirst-line-of-it\nsecond-line-of-it\nEND KEY"
    source = write_notebook(tmp_path, f"import sys; print({key!r}); print({key!r}, file=sys.stderr)", "1 + 1")
    target = tmp_path / "out.ipynb"
    notebooks.execute(Path(source), target, {}, warm=True, limits=LIMITS, progress=False,
                      redact=lambda text: text.replace(key, "${KEY}").replace(repr(key)[1:-1], "${KEY}"))
    saved = target.read_text()
    assert "line-of-it" not in saved
    assert saved.count("${KEY}") == 4
    nbformat.validate(nbformat.read(target, as_version=4))


def test_notebook_is_not_saved_any_more_once_its_run_may_not(tmp_path: Path) -> None:
    lost, target = tmp_path / "lost", tmp_path / "out" / "out.ipynb"
    target.parent.mkdir()
    source = write_notebook(tmp_path, f"open({str(lost)!r}, 'w').close(); print('said too late')", "print('never')")

    def ready() -> None:
        if lost.exists():
            raise BusyError("it gives way")

    with pytest.raises(BusyError, match="it gives way"):
        notebooks.execute(Path(source), target, {}, warm=True, limits=LIMITS, progress=False, ready=ready)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    saved = nbformat.read(target, as_version=4)
    assert [cell.outputs for cell in saved.cells if cell.cell_type == "code"] == [[], []]
