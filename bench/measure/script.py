"""What the scripts share as programs: arguments checked first, one line for what goes wrong, files that appear whole."""
import argparse
import contextlib
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Parser(argparse.ArgumentParser):
    """One line for a wrong argument, status 2."""

    def __init__(self, description=None, **options):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message):
        self.exit(2, f"{pathlib.Path(sys.argv[0]).name}: {message}; --help lists what there is\n")


def words(names):
    """A list with commas, of names that there are, each once."""
    def read(text):
        found = tuple(dict.fromkeys(text.split(",")))
        if unknown := [name for name in found if name not in names]:
            raise argparse.ArgumentTypeError(f"no {', '.join(map(repr, unknown))}; expected some of {','.join(names)}")
        return found
    return read


def count(text):
    """A whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def counts(text):
    """A list of them with commas, each once."""
    return tuple(dict.fromkeys(map(count, text.split(","))))


def amount(text):
    """A number above 0; inf is one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def program(text):
    """One that is there and can be run."""
    path = pathlib.Path(text).absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text}: is no program; the build makes build/bin/moec")
    return path


def output(text):
    """A file that could be written, in a folder that is there: said before hours are measured."""
    path = pathlib.Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no directory {path.parent}")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text}: cannot be written")
    return path


def check_work(folder):
    """Ends the script where --work is no folder; after parsing, since other arguments are more likely to be meant."""
    if folder and not folder.is_dir():
        fail(f"--work: there is no directory {folder}; it must exist")


@contextlib.contextmanager
def whole(path):
    """A path beside `path` to make a file or folder at; it takes the name `path` once it is whole, or else is removed. What is
    no file (/dev/stdout) is written as it is."""
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as beside:
        made = pathlib.Path(beside) / path.name
        yield made
        if made.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(made, path)


def write_text(path, text):
    with whole(path) as made:
        made.write_text(text)


def last_line(error):
    """The last words of a program that failed."""
    said = error.stderr or b""
    said = said.decode(errors="replace") if isinstance(said, bytes) else said
    return (said.strip() or f"status {error.returncode}").splitlines()[-1]


def failure(error):
    """What a program or a file ends, in a line."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{pathlib.Path(str(error.cmd[0])).name} failed: {last_line(error)}"
    return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"


class Ended(BaseException):
    """Of a signal: passes all that cleans up on its way out, as KeyboardInterrupt does."""


def descendants(pid):
    """Ids of a process's children, of theirs and so on."""
    found = []
    with contextlib.suppress(OSError):  # one may end meanwhile
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found


def end(number, _):
    """Handles a signal that ends the script. Programs that it started would outlive it and write to what is removed."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # a second one would stop the cleaning
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    raise Ended(number)


def main(function):
    """Runs a script and exits; what a file, a program or the user ends is one line, not a traceback."""
    name = pathlib.Path(sys.argv[0]).name
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's stays
            signal.signal(number, end)
    try:
        # One that is being ended may still write into it.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            # What programs put there goes with the script: one that is killed removes nothing.
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            sys.exit(function())
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"{name}: {failure(error)}")
    except Ended as ended:
        number = signal.Signals(ended.args[0])
        with contextlib.suppress(OSError):  # the terminal may be what went away
            print(f"{name}: ended by {number.name}", file=sys.stderr)
        sys.exit(128 + number)


def fail(message):
    """Ends the script with a line."""
    raise SystemExit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def check_made(program, path):
    """Ends the script where a program said nothing of a failure and yet made no file."""
    if not path.exists():
        fail(f"{program} made no {path.name}")
