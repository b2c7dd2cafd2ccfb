"""A peer's process, and rounds with it.

The protocol, lines on stdin answered by one line of JSON each; one comes before, when the weights are in place:
  (start)               {"about": "..."}
  prepare TOKENS CALLS  {"error": E}      touches memory, warms up, compares one row with its own f64 computation
  draw                  {}                new random inputs
  run                   [seconds, ...]    one for each call
"""
import json
import subprocess
import time

from . import host, layer, rounds


class Peer:
    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, preexec_fn=host.free_affinity)
        self.about = self.answer()["about"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # answer() says how it ended
        return self.answer()

    def run(self):
        """Seconds of each call; until threads of either side stop spinning nobody runs."""
        time.sleep(host.PAUSE)
        seconds = self.ask("run")
        time.sleep(host.PAUSE)
        return seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_round(made, peer, ceilings):
    """Ceilings, ours, the peer, ours again, ceilings; the floors are those of our inputs."""
    inputs, loads = made.draw()
    again, more = made.draw()
    peer.ask("draw")

    def measured():
        first = made.run(inputs)
        theirs = peer.run()
        return {"seconds": first + made.run(again), "peer": theirs, **layer.work(made, loads + more)}
    round_ = rounds.one(ceilings, measured, peer.process.pid)
    return layer.add_floors(round_, made, loads + more)
