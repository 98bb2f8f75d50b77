"""What the benchmark runs on: the machine, the programs, their versions."""

import glob
import os
import platform
import re
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HILUM = os.path.abspath(os.environ.get("HILUM", os.path.join(ROOT, "build", "hilum")))
LOAD, SINK, WRITER, FILL, FIND = (os.path.join(os.path.dirname(HILUM), "bench", name)
                            for name in ("load", "sink", "writer", "fill", "find"))
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def find(program):
    """The path of a program, also of those that only root has in its path; None without it."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def text_of(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def output_of(*command):
    """What a command says, on either channel; nothing if there is no such command."""
    program = find(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.stdout


def version(pattern, *command):
    found = re.search(pattern, output_of(*command))
    return found[1] if found else None


def versions():
    """{program: its version, None where it is absent}"""
    return {
        "hilum": version(r"(\d\S*)", HILUM, "--version"),
        "haproxy": version(r"version (\S+)", "haproxy", "-v"),
        "nginx": version(r"nginx/(\S+)", "nginx", "-v") if nginx_stream() else None,
        "orthanc": version(r"Orthanc (\S+)", "Orthanc", "--version"),
        "dcmtk": version(r"v(\S+)", "storescp", "--version") if find("storescu") else None,
        "gnuplot": version(r"gnuplot (\S+)", "gnuplot", "--version"),
        "perf": version(r"perf version (\S+)", "perf", "--version"),
    }


def nginx_stream():
    """nginx's stream module: a path, "" if it is built in, None without it."""
    if os.path.exists(NGINX_STREAM):
        return NGINX_STREAM
    elsewhere = glob.glob("/usr/lib*/nginx/modules/ngx_stream_module.so")
    if elsewhere:
        return elsewhere[0]
    return "" if re.search(r"--with-stream(\s|$)", output_of("nginx", "-V")) else None


def hypervisor():
    kind = output_of("systemd-detect-virt", "--vm").strip()
    if kind and kind != "none":
        return kind
    product = text_of("/sys/class/dmi/id/product_name").strip() or text_of("/sys/hypervisor/type").strip()
    if product:
        return product
    return "virtual machine" if re.search(r"^flags.*\bhypervisor\b", text_of("/proc/cpuinfo"), re.M) else "none seen"


def commit():
    """The commit that is measured; with "+" when files that are under version control differ from it."""
    name = output_of("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD").strip()
    if not re.fullmatch(r"[0-9a-f]+", name):
        return None
    changed = output_of("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no").strip()
    return name + ("+" if changed else "")


def about():
    cpu = re.search(r"^model name\s*:\s*(.*)$", text_of("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", text_of("/proc/meminfo"), re.M)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 1048576, 1) if memory else None,
        "kernel": platform.release(),
        "hypervisor": hypervisor(),
        "system": re.sub(r'^PRETTY_NAME="?([^"\n]*)"?.*', r"\1",
                         (re.search(r"^PRETTY_NAME=.*", text_of("/etc/os-release"), re.M) or [""])[0]),
        "default_congestion": text_of("/proc/sys/net/ipv4/tcp_congestion_control").strip(),
        "network": "loopback",
        "disk": file_system(tempfile.gettempdir()),
    }


def file_system(path):
    """Of a folder: "ext4 (/dev/vda)"."""
    found = re.findall(r"^(\S+) +(\S+) ", output_of("df", "--output=fstype,source", path) + " ", re.M)
    return f"{found[-1][0]} ({found[-1][1]})" if len(found) > 1 else "unknown"


def congestions():
    """The congestion controls that this kernel has loaded."""
    return text_of("/proc/sys/net/ipv4/tcp_available_congestion_control").split()
