"""The manual: what `--help` says is whole, and the commands in the README are ones that there are."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from tb_gradclip.cli import COMMANDS, main
from tests.imports.logs import trainer_state, training
from tests.logs import write_runs

README = Path(__file__).parent.parent.parent / "README.md"


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_command_is_listed_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    listed = " ".join(helped(capsys).split())
    assert [name for name, (_, purpose) in COMMANDS.items() if f" {name} {purpose}" not in listed] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_it_does_and_what_each_option_does(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    usage, description, *_ = helped(capsys, command).split("\n\n")
    assert usage.startswith(f"usage: tb-gradclip {command} ")
    assert len(description.split()) > 15
    parser = argparse.ArgumentParser()
    importlib.import_module(f"tb_gradclip.commands.{COMMANDS[command][0]}").fill(parser)
    assert [action.dest for action in parser._actions if not action.help] == []


def test_the_commands_in_the_readme_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_runs(tmp_path / "runs", 200)
    trainer_state(tmp_path / "trainer_state.json", training(200))
    commands = re.findall(r"^- `tb-gradclip ([^`]+)`", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [command.split()[0] for command in commands] == [name for name in COMMANDS if name != "run"]
    for command in commands:
        assert main(shlex.split(command)) in (0, 1), command  # 1: what `check` and `doctor` find here
        capsys.readouterr()
