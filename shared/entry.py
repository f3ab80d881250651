"""The one door of every command: signals, odd terminals and errors of any kind become one line.

Exit status: 0 done; 1 done, and something failed or disagrees; 2 not done, the line says why;
128 + n stopped by signal n. Nothing slow is imported here: signals are caught before what is.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

TRACEBACK = "IR_REPLICATIONS_TRACEBACK"  # set: an unexpected error shows where it happened
_KEPT = "what is finished is kept, run the same command to go on"


class _Stop:
    """What was asked of this process by a signal."""

    signal = 0
    loading = False  # nothing is to be tidied up yet
    told = False


def answered(work: Callable[[], int | None]) -> int:
    """The exit status of `work`; whatever it raises, but SystemExit, is one line on stderr."""
    with _signals_caught():
        try:
            _any_text_printable()
            status = work() or 0
            sys.stdout.flush()
            return status
        except SystemExit:
            raise
        except BaseException as error:
            return _told(error)


def run_process(work: Callable[[], int | None]) -> NoReturn:
    """End this process with the status of `work`, as `answered`; `loaded` is to be called in it."""
    caught = _catch_signals()
    _Stop.loading = True
    sys.unraisablehook = _lost
    status = answered(work)
    if _Stop.signal:  # Python could end otherwise: by the signal itself, waiting for threads
        atexit._run_exitfuncs()
        os._exit(status)
    for number in caught:  # the work is done
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    sys.exit(status)


def loaded() -> None:
    """From now on a signal ends work, which tidies up; before, it ended the process at once."""
    _Stop.loading = False


def say(text: str) -> None:
    """Text on stderr, also where nobody can read it; no character of it acts on the terminal."""
    from ir_replications.shared.printable import printable

    with suppress(OSError, ValueError):
        print(printable(text, lines=True), file=sys.stderr, flush=True)


def one_line(text: object) -> str:
    """A message without line breaks."""
    return " ".join(str(text).split())


def _told(error: BaseException) -> int:
    """Say what ended the work, in one line; its exit status."""
    import click

    from ir_replications.shared.errors import InputError

    if _Stop.signal or isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _stopped(_Stop.signal or signal.SIGINT)
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return 128 + signal.SIGPIPE  # as `| head` ends any other program: without a word
    if isinstance(error, click.UsageError):
        message = error.format_message()
        command = error.ctx.command_path if error.ctx else "replicate"
        # Without any argument the message is the help text itself.
        is_help = isinstance(error, click.exceptions.NoArgsIsHelpError)
        say(message if is_help else f"error: {one_line(message)} (see {command} --help)")
        return 2
    say(f"error: {_reason(error, InputError)}")
    _forget_output()
    return 2


def _reason(error: BaseException, expected: type[Exception]) -> str:
    text = one_line(error)
    if isinstance(error, expected):
        return text
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        about = f" ({text})" if text else ""
        return f"out of memory{about}; ask for less at once, or use a machine with more"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or text}"
    if isinstance(error, ModuleNotFoundError):
        from ir_replications.shared.extras import remedy

        return f"{text}; install what this needs: {remedy(error.name or '')}"
    import traceback

    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(last.filename)}, line {last.lineno}"
    return (
        f"{type(error).__name__}: {text} ({place}); not expected: please report it with what "
        f"{TRACEBACK}=1 shows"
    )


def _stopped(number: int) -> int:
    name = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    if not _Stop.told:
        _Stop.told = True
        say(f"stopped{name}; {_KEPT}")
    return 128 + number


def _on_signal(number: int, _frame: object) -> None:
    if _Stop.loading or _Stop.signal:  # a second one does not wait for the tidying up
        status = _stopped(_Stop.signal or number)
        os._exit(status)
    _Stop.signal = number
    raise KeyboardInterrupt


def _lost(event: sys.UnraisableHookArgs) -> None:
    """Python could not raise an exception where it came up; an asked-for stop must not be lost."""
    if _Stop.signal and issubclass(event.exc_type, KeyboardInterrupt):
        os._exit(_stopped(_Stop.signal))
    sys.__unraisablehook__(event)


def _catch_signals() -> dict[int, object]:
    """Have signals end the work; what handled them before. Those that are ignored stay so."""
    before: dict[int, object] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) in (signal.SIG_IGN, _on_signal):
            continue
        try:
            before[number] = signal.signal(number, _on_signal)
        except ValueError:  # only the main thread may
            break
    return before


@contextmanager
def _signals_caught() -> Iterator[None]:
    before = _catch_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if before:
            _Stop.signal, _Stop.told = 0, False


def _any_text_printable() -> None:
    """Characters that the terminal lacks are written as \\x.., and closed streams swallow all."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _reader_is_gone() -> bool:
    """Whether what reads stdout or stderr has closed it; then nothing more is written there."""
    import select

    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    gone = [number for number, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]
    for number in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return bool(gone)


def _forget_output() -> None:
    """Where stdout cannot be written (a full disk), do not try again at the end of the process."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
