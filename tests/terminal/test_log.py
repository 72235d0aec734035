"""The log of the steps on the terminal: only when asked for, and no longer than that."""

import logging

import pytest

from detectorist.terminal.log import LOGGERS, terminal_log


@pytest.fixture(autouse=True)
def loud():
    """Let loggers say all, and put them back."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("name", LOGGERS)
def test_our_loggers_and_those_of_the_standard_pipeline_are_shown(name, capsys):
    with terminal_log(verbose=True):
        logging.getLogger(f"{name}.part").info("told")
        logging.getLogger(f"{name}.part").debug("kept back")
    logging.getLogger(f"{name}.part").info("afterwards")
    assert capsys.readouterr().err == f"INFO {name}.part: told\n"


def test_silence_unless_asked_for_also_after_an_error(capsys):
    with pytest.raises(KeyError), terminal_log(verbose=True):
        raise KeyError
    with terminal_log():
        logging.getLogger("detectorist").info("told")
    assert capsys.readouterr().err == ""
