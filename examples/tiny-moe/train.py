#!/usr/bin/env python3
"""Trains tiny-moe on the texts of prepare_data.py.  CPU, two threads, fixed seed.

The products run in bfloat16, which CPUs with AMX do many times faster; weights,
norms, softmax and the optimiser's state stay in float32.  Matrices are trained
with Muon, the rest with Adam.  The learning rates are constant after a warm-up and
then fall to zero; a short stage with small ones follows.  An interrupted run goes on
from its last checkpoint.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from model import Model, save

SEED = 20240
KINDS = ("bible", "dictionary", "python", "sums")
# Shares of the windows: at first, and from step LATE on.
MIX, MIX_LATE, LATE = (0.26, 0.27, 0.35, 0.12), (0.12, 0.38, 0.26, 0.24), 1848
TOKENS_PER_STEP = 4096
MUON_LR, ADAM_LR = 0.02, 0.004
# What the learning rates are multiplied with: straight lines between these points.
SCALE = ((-1, 0.0), (149, 1.0), (1650, 1.0), (2850, 0.0), (2860, 0.1), (3000, 0.0))
# The run was stopped here, shortly before the last line's end.
STEPS = 2949
BALANCE = 0.01
# The sums are short ones until this step.
ALL_SUMS = 1500
# Windows have 256 tokens before this step and 512 from it on.
LONG = 1650
# From this step on each step also has STARTS windows of eight tokens that begin with
# a line of sums: nothing stands before the first sum.
SHORT, STARTS, STARTS_WEIGHT = 2850, 128, 0.5


def token_streams(folder):
    """Tokens of each kind in one array, documents kept apart by token 0."""
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    newline = tok.encode("\n").ids[0]
    out = {}
    for kind in (*KINDS, "sums_short"):
        docs = json.loads((folder / f"{kind}.train.json").read_text())
        ids = []
        for e in tok.encode_batch(docs):
            ids.append(0)
            ids.extend(e.ids)
        ids = np.array(ids, dtype=np.int64)
        # Sums are read from the start of a line.
        starts = np.flatnonzero(ids == newline) + 1 if kind.startswith("sums") else None
        out[kind] = (ids, starts)
    return out


class Sampler:
    """Passes over each kind in windows whose order and offset change by pass."""

    def __init__(self, streams, seed):
        self.streams, self.rng, self.todo = streams, np.random.default_rng(seed), {}

    def window(self, kind, t):
        ids, starts = self.streams[kind]
        if starts is not None:
            s = starts[self.rng.integers(np.searchsorted(starts, len(ids) - t - 1))]
        else:
            if not self.todo.get((kind, t)):
                grid = np.arange(self.rng.integers(t), len(ids) - t - 1, t)
                self.todo[kind, t] = self.rng.permutation(grid).tolist()
            s = self.todo[kind, t].pop()
        return ids[s:s + t + 1]

    def batch(self, step):
        t = 512 if step >= LONG else 256
        mix = MIX_LATE if step >= LATE else MIX
        kinds = self.rng.choice(len(KINDS), TOKENS_PER_STEP // t, p=mix)
        names = [k + "_short" * (k == "sums" and step < ALL_SUMS) for k in KINDS]
        x = torch.from_numpy(np.stack([self.window(names[k], t) for k in kinds]))
        return torch.from_numpy(kinds), x[:, :-1], x[:, 1:]

    def starts(self):
        x = torch.from_numpy(np.stack([self.window("sums", 8) for _ in range(STARTS)]))
        return x[:, :-1], x[:, 1:]

    def state(self):
        return {"rng": self.rng.bit_generator.state, "todo": self.todo}

    def restore(self, s):
        self.rng.bit_generator.state, self.todo = s["rng"], s["todo"]


def orthogonal(g):
    """Newton-Schulz iterations towards the nearest orthogonal matrices."""
    x = g.to(torch.bfloat16)
    flip = x.shape[-2] > x.shape[-1]
    if flip:
        x = x.transpose(-1, -2)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.transpose(-1, -2) if flip else x).float()


class Optimiser:
    def __init__(self, model):
        self.muon, self.adam = [], []
        for name, p in model.named_parameters():
            plain = p.ndim < 2 or name in ("embed", "head") or name.endswith("router")
            (self.adam if plain else self.muon).append(p)
        self.momentum = [torch.zeros_like(p) for p in self.muon]
        groups = [
            {"params": [p for p in self.adam if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in self.adam if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.inner = torch.optim.AdamW(groups, lr=ADAM_LR, betas=(0.9, 0.95), fused=True)

    @torch.no_grad()
    def step(self, scale):
        for g in self.inner.param_groups:
            g["lr"] = ADAM_LR * scale
        self.inner.step()
        self.inner.zero_grad()
        lr = MUON_LR * scale
        for p, m in zip(self.muon, self.momentum):
            m.lerp_(p.grad, 0.05)
            u = orthogonal(p.grad.lerp(m, 0.95))
            gain = max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5
            p.mul_(1 - lr * 0.05).add_(u, alpha=-lr * gain)
            p.grad = None

    def state(self):
        return {"inner": self.inner.state_dict(), "momentum": self.momentum}

    def restore(self, s):
        self.inner.load_state_dict(s["inner"])
        for m, x in zip(self.momentum, s["momentum"]):
            m.copy_(x)


def keep_memory():
    """Starts again with an allocator that keeps its memory: without this, much of
    each step goes into page faults."""
    if "MALLOC_TOP_PAD_" not in os.environ:
        big = {"MALLOC_MMAP_THRESHOLD_": "10000000000",
               "MALLOC_TRIM_THRESHOLD_": "20000000000", "MALLOC_TOP_PAD_": "268435456"}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **big})


def main():
    keep_memory()
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True, help="checkpoint folder to write")
    p.add_argument("--stop", type=int, default=STEPS, help="stop after this step, to be resumed")
    p.add_argument("--save-seconds", type=float, default=240)
    args = p.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(SEED)
    data, out = Path(args.data), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    streams = token_streams(data)
    print({k: len(v[0]) for k, v in streams.items()}, "training tokens", flush=True)
    model = Model()
    print(sum(x.numel() for x in model.parameters()), "parameters", flush=True)

    def losses(x, y):
        logits = model(x, torch.bfloat16).float()
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")

    plain_losses, losses = losses, torch.compile(losses)
    opt, sampler, step, spent, log = Optimiser(model), Sampler(streams, SEED), 0, 0.0, []
    state = out / "state.pt"
    if state.exists():
        s = torch.load(state, weights_only=False)
        model.load_state_dict(s["model"])
        opt.restore(s["opt"])
        sampler.restore(s["sampler"])
        step, spent, log = s["step"], s["spent"], s["log"]
        print("resumed at step", step, flush=True)

    def checkpoint():
        torch.save({"model": model.state_dict(), "opt": opt.state(), "step": step,
                    "sampler": sampler.state(), "spent": spent, "log": log},
                   str(state) + ".new")
        os.replace(str(state) + ".new", state)
        save(model, data / "tokenizer.json", out / "model")
        (out / "log.json").write_text(json.dumps(log))

    start, saved = time.time() - spent, time.time()
    sums = torch.zeros(len(KINDS), 2)
    starts, balance, loads = 0.0, 0.0, torch.zeros(len(model.layers), model.config["num_experts"])
    mark, mark_step = time.time(), step
    while step < args.stop:
        kinds, x, y = sampler.batch(step)
        loss = losses(x, y)
        even = sum(m.mlp.balance for m in model.layers) / len(model.layers)
        (loss.mean() + BALANCE * len(model.layers) * even).backward()
        loads += torch.stack([m.mlp.counts for m in model.layers])
        if step >= SHORT:
            short = plain_losses(*sampler.starts()).mean()
            (STARTS_WEIGHT * short).backward()
            starts += short.item()
        opt.step(float(np.interp(step, *zip(*SCALE))))
        step += 1
        per = loss.detach().view(len(kinds), -1).mean(1)
        sums.index_add_(0, kinds, torch.stack((per, torch.ones_like(per)), 1))
        balance += even.item()
        spent = time.time() - start
        if step % (100 if step <= SHORT else 25) == 0:
            load = loads / loads.mean(1, keepdim=True)
            row = {"step": step, "seconds": round(spent),
                   **{k: round((a / max(b, 1)).item(), 4) for k, (a, b) in zip(KINDS, sums)},
                   **({"starts": round(starts / (step - mark_step), 4)} if starts else {}),
                   "balance": round(balance / (step - mark_step), 4),
                   "load_min": round(load.min().item(), 3),
                   "load_max": round(load.max().item(), 3)}
            log.append(row)
            speed = (step - mark_step) * TOKENS_PER_STEP / (time.time() - mark)
            print(json.dumps(row), f"{speed:.0f} tokens/s", flush=True)
            sums.zero_(), loads.zero_()
            starts, balance, mark, mark_step = 0.0, 0.0, time.time(), step
        if time.time() - saved > args.save_seconds:
            checkpoint()
            saved = time.time()
    if not log or log[-1]["step"] < step:
        log.append({"step": step, "seconds": round(spent)})
    checkpoint()
    print(f"{step} steps, {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
