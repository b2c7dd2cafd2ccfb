#!/usr/bin/env python3
"""What compiling costs must not grow with layers or experts: compile_cost_test.py MOEC

From the published shape of OLMoE-1B-7B with generated weights: the object's
code stays under 4 MiB and moec's memory under 1 GiB; twice the layers, or twice
the experts, add no kernel and next to no code. Times are bench/compile_cost.py's.
"""
import json
import pathlib
import resource
import subprocess
import sys
import tempfile

OLMOE = dict(architectures=["OlmoeForCausalLM"], model_type="olmoe", hidden_size=2048, intermediate_size=1024,
             num_hidden_layers=16, num_attention_heads=16, num_key_value_heads=16, num_experts=64,
             num_experts_per_tok=8, norm_topk_prob=False, vocab_size=50304, max_position_embeddings=4096,
             rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", attention_bias=False, clip_qkv=None,
             tie_word_embeddings=False, torch_dtype="bfloat16")


def compile_object(moec, folder, **overrides):
    """Bytes of the object's code, and its kernels."""
    config, output = folder / "config.json", folder / "model.o"
    config.write_text(json.dumps(OLMOE | overrides))
    subprocess.run([moec, config, "--weights=random:1", "--emit=obj", "-o", output], check=True,
                   stderr=subprocess.DEVNULL)
    symbols = subprocess.run(["nm", output], check=True, capture_output=True, text=True).stdout.split("\n")
    kernels = sorted(line.split()[-1] for line in symbols if " kernel_" in line or " tile" in line)
    sizes = subprocess.run(["size", output], check=True, capture_output=True, text=True).stdout
    return int(sizes.split("\n")[1].split()[0]), kernels


def main():
    moec = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        code, kernels = compile_object(moec, folder)
        assert kernels, "no kernels found"
        assert code < 4 << 20, f"{code} bytes of code"
        deep, deep_kernels = compile_object(moec, folder, num_hidden_layers=32)
        assert deep_kernels == kernels, "more layers made more kernels"
        assert deep - code < 1024 * 16, f"16 layers more made {deep - code} bytes more"
        wide, wide_kernels = compile_object(moec, folder, num_experts=128)
        assert wide_kernels == kernels and abs(wide - code) < 4096, "more experts made more code"
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert peak < 1 << 20, f"{peak} KiB of memory"
        print(f"{code} bytes of code in {len(kernels)} kernels and tiles; 16 layers more: {deep - code} bytes; "
              f"peak {peak >> 10} MiB")


if __name__ == "__main__":
    main()
