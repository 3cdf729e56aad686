"""Keeps runner processes: locks a runner's folder, runs the command, writes down how it ended.

Run as a program of its own (`python -I -S keeper.py RUNNERS`), so that a runner outlives the
worker that launched it and is launched once: the lock is held as long as the runner lives, whoever
asks. A worker starts it once and asks it for each runner; it forks a keeper, which costs a tenth
of starting another Python. Keepers outlive it as they outlive the worker. Standard library only.

On standard input, a line each: `start NUMBER NAME` keeps the runner of RUNNERS/NAME, `stop NUMBER`
ends a keeper. On standard output: `NUMBER started` once its runner runs, `NUMBER ended CODE`.
"""

import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import time

LOOKS, LOOK_SECONDS = 20, 0.005  # whoever looks at a lock holds it for a moment


def serve(runners: str) -> int:
    """Keep runners as asked until standard input ends, which is when the worker does."""
    numbers: dict[int, str] = {}  # by process
    program = os.getpid()

    def reap(_number: int, _frame: object) -> None:
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                code = os.waitstatus_to_exitcode(status)
                _say(f"{numbers.pop(pid)} ended {code}")
        except ChildProcessError:
            return

    gc.disable()
    gc.freeze()  # what is shared with the keepers stays shared
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        what, number, *name = line.split()
        # Not in the midst of this: an end is told once it is known whose it is.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        if what == "start":
            pid = os.fork()
            if not pid:
                _keep(os.path.join(runners, name[0]), number, program)
            numbers[pid] = number
        else:
            for pid, theirs in numbers.items():
                if theirs == number:
                    os.kill(pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    return 0


def _keep(folder: str, number: str, program: int) -> None:
    """The life of a keeper's process, to its end."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        _let_go_of(0)
        os.chdir(folder)  # so that one can see whose keeper it is
        code = keep(folder, number, program)
    finally:
        os._exit(code)


def keep(folder: str, number: str, program: int) -> int:
    """Run the command of FOLDER/launch.json; 3 if another keeper or its runner has the folder.

    Nothing is begun once the program is gone: nobody could take the order back.
    """
    # The second lock is the runner's: it tells that a runner lives whose keeper was killed.
    alive = -1
    if _lock(folder, "lock") < 0 or (alive := _lock(folder, "runner.lock")) < 0:
        return 3
    if os.path.exists(os.path.join(folder, "ended.json")):
        return 3
    with open(os.path.join(folder, "launch.json"), encoding="utf-8") as file:
        launch = json.load(file)
    log = os.open(
        os.path.join(folder, "runner.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    stopped = False
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True
        if child is not None:
            try:
                # The whole group: a runner has children of its own.
                os.killpg(child.pid, number)
            except ProcessLookupError:
                return

    signal.signal(signal.SIGTERM, stop)
    code = 127
    error = ""
    if os.getppid() != program:
        return 1
    try:
        child = subprocess.Popen(
            launch["command"],
            cwd=os.path.join(folder, "work"),
            env=launch["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(alive,),
        )
    except OSError as problem:
        error = f"{launch['command'][0]}: {problem.strerror}"
    else:
        _write(folder, "started.json", {"pid": os.getpid(), "runner_pid": child.pid})
        _say(f"{number} started")
        _let_go_of(1)  # its reader may die
        if stopped:
            stop(signal.SIGTERM, None)
        _end_group(child.pid)
        code = child.wait()
    try:
        os.unlink(os.path.join(folder, "token"))
    except FileNotFoundError:
        pass
    _write(folder, "ended.json", {"code": code, "error": error, "stopped": stopped})
    return 0


def _lock(folder: str, name: str) -> int:
    """The descriptor that holds the lock; -1 if somebody else does."""
    lock = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
        else:
            return lock
    os.close(lock)
    return -1


def _end_group(leader: int) -> None:
    """Wait for the leader, then end what it left behind."""
    if hasattr(os, "waitid"):  # else macOS on an older Python
        # Unreaped, it keeps the number of its group from passing to another.
        os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
        try:
            os.killpg(leader, signal.SIGKILL)
        except OSError:
            pass


def _say(words: str) -> None:
    """A line on standard output, in one piece; perhaps nobody reads any more."""
    try:
        os.write(1, f"{words}\n".encode())
    except OSError:
        pass


def _let_go_of(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def _write(folder: str, name: str, content: object) -> None:
    unfinished = os.path.join(folder, f".{name}")
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(unfinished, os.path.join(folder, name))


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))
