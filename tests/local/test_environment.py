import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from local.environment import Environment
from local.project import ROOT, Refusal

SERVING, TESTING = Path("local/requirements.txt"), Path("tests/requirements.txt")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose environment is in place; making one takes seconds, copying it does not.

    It is made where pip was killed half-way through an installation, as the files there tell.
    """
    root = tmp_path_factory.mktemp("made")
    for file in (Path("requirements.txt"), SERVING, TESTING):
        (root / file).parent.mkdir(exist_ok=True)
    (root / "requirements.txt").write_text("# nothing\n")
    (root / SERVING).write_text("-r ../requirements.txt\n")
    (root / TESTING).write_text("-r ../local/requirements.txt\n")
    environment = Environment(root)
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    version = ".".join(map(str, sys.version_info[:3]))
    (environment.directory / "pyvenv.cfg").write_text(f"version = {version}\n")
    (environment.directory / "jobtrail-installing").touch()
    (environment.directory / "half-a-package").touch()
    environment.ready_for(TESTING)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "root", symlinks=True))


@pytest.fixture
def mark(root: Path) -> Callable[[], bool]:
    """Leaves something in the environment; tells whether it is still there."""
    file = root / ".venv" / "mark"
    file.touch()
    return file.exists


def write_wheel(directory: Path, name: str) -> str:
    """A package pip can install without an index; gives its line for a requirement file."""
    wheel = directory / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "VALUE = 42\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name} @ {wheel.as_uri()}\n"


def test_a_new_environment_has_its_own_python(made: Path) -> None:
    python = Environment(made).python
    where = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()) == made / ".venv"


def test_what_is_installed_is_not_installed_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    assert Environment(root).ready_for(TESTING) == root / ".venv" / "bin" / "python"
    assert time.monotonic() - started < 0.5
    assert capsys.readouterr().out == ""


def test_the_tests_requirements_include_those_of_the_server(root: Path) -> None:
    assert Environment(root).fits(SERVING)


def test_the_servers_requirements_do_not_include_those_of_the_tests(root: Path) -> None:
    environment = Environment(root)
    (root / "requirements.txt").write_text("# changed\n")
    environment.ready_for(SERVING)
    assert environment.fits(SERVING)
    assert not environment.fits(TESTING)


@pytest.mark.parametrize("changed", ["requirements.txt", SERVING, TESTING])
def test_a_change_in_any_requirement_file_is_installed(root: Path, changed: str | Path) -> None:
    environment = Environment(root)
    with (root / changed).open("a") as file:
        file.write(write_wheel(root, "tiny"))
    assert not environment.fits(TESTING)
    environment.ready_for(TESTING)
    assert environment.fits(TESTING)
    assert subprocess.run([environment.python, "-c", "import tiny"]).returncode == 0


def test_the_packages_are_named_as_they_come(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "requirements.txt").write_text(write_wheel(root, "tiny"))
    Environment(root).ready_for(SERVING)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Installing local/requirements.txt ..."
    assert "    1  tiny" in lines
    assert lines[-1].startswith("Everything needed is installed (")


def test_a_failed_installation_ends_with_one_sentence_and_is_tried_again(
    root: Path, mark: Callable[[], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    environment = Environment(root)
    (root / "requirements.txt").write_text("tiny @ file:///missing/tiny-1.0-py3-none-any.whl\n")
    with pytest.raises(Refusal, match=r"^pip could not install local/requirements.txt into .*: see the lines above.$"):
        environment.ready_for(SERVING)
    output = capsys.readouterr().out
    assert "missing/tiny-1.0" in output
    assert len(output.splitlines()) < 12
    assert not environment.fits(SERVING)
    (root / "requirements.txt").write_text("# nothing again\n")
    environment.ready_for(SERVING)
    assert mark()


def test_an_installation_that_was_killed_starts_from_nothing(made: Path) -> None:
    assert Environment(made).fits(TESTING)
    assert not (made / ".venv" / "half-a-package").exists()
    assert not (made / ".venv" / "jobtrail-installing").exists()


def test_an_environment_somebody_else_made_is_kept(root: Path, mark: Callable[[], bool]) -> None:
    (root / ".venv" / "jobtrail-installed").unlink()
    Environment(root).ready_for(SERVING)
    assert mark()


def test_an_environment_whose_python_is_gone_is_made_anew(root: Path, mark: Callable[[], bool]) -> None:
    environment = Environment(root)
    environment.python.unlink()
    environment.python.symlink_to("/missing/python3")
    assert not environment.fits(SERVING)
    environment.ready_for(SERVING)
    assert not mark()


def test_an_environment_of_another_python_does_not_fit(root: Path) -> None:
    settings = root / ".venv" / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace(f"version = {sys.version_info[0]}.", "version = 2."))
    assert not Environment(root).fits(SERVING)


def test_two_that_install_at_once_take_turns(root: Path) -> None:
    with (root / "requirements.txt").open("a") as file:
        file.write(write_wheel(root, "tiny"))
    script = (
        "import sys; from pathlib import Path; from local.environment import Environment;"
        "Environment(Path(sys.argv[1])).ready_for(Path('local/requirements.txt'))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = sorted((process.communicate(timeout=30)[0] for process in both), key=len, reverse=True)
    assert [process.returncode for process in both] == [0, 0]
    assert "Installing local/requirements.txt ..." in first
    assert second == "Another process is preparing .venv: waiting for it ...\n"


def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    asked = subprocess.run([sys.executable, "-m", "local", "serve"], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 2
    assert asked.stderr.startswith("usage: python3 -m local COMMAND")
    helped = subprocess.run([sys.executable, "-m", "local", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (helped.returncode, helped.stdout) == (0, asked.stderr)
