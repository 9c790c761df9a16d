"""A Slurm of one node, with the accounting that tells which jobs were killed, in a folder of its own."""

import os
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacct")
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
DBD = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdPort=17819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=17820
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
CONTROLLER = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort=17817
SlurmdPort=17818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=17819
AccountingStoragePass={folder}/munge/socket
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=night Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNT = (
    "create database slurm; create user slurm@localhost identified by 'slurm'; grant all on slurm.* to slurm@localhost"
)


def missing():
    """What this machine lacks for a Slurm of its own; "" where nothing."""
    lacking = [program for program in PROGRAMS if which(program, path=SEARCHED) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else "" if os.geteuid() == 0 else "needs root"


@contextmanager
def slurm():
    """Yield the `SLURM_CONF` of a running Slurm; its folder is short, as a socket's path must be."""
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    with ExitStack() as stack:
        stack.callback(run, "rm", "-rf", folder)
        folder.chmod(0o755)
        start_munge(folder, stack)
        start_database(folder, stack)
        (folder / "slurmdbd.conf").write_text(DBD.format(folder=folder))
        (folder / "slurmdbd.conf").chmod(0o600)
        (folder / "slurm.conf").write_text(CONTROLLER.format(folder=folder))
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        stack.callback(os.environ.pop, "SLURM_CONF")
        start(stack, "slurmdbd", "-D")
        wait_for("started", lambda: (folder / "slurmdbd.log").read_text())
        start(stack, "slurmctld", "-D")
        start(stack, "slurmd", "-D", "-N", "localhost")
        wait_for("idle", lambda: run("sinfo", "--noheader"))
        yield folder / "slurm.conf"


def start_munge(folder, stack):
    munge = folder / "munge"
    munge.mkdir()
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o400)
    run("chown", "-R", "munge", munge)
    files = [
        f"--{name}={munge / name.split('-')[0]}" for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")
    ]
    start(stack, "runuser", "-u", "munge", "--", "munged", "--foreground", "--force", *files)
    wait_for("socket", lambda: " ".join(path.name for path in munge.iterdir()))


def start_database(folder, stack):
    files = [f"--datadir={folder / 'db'}", "--no-defaults"][::-1]
    run("mariadb-install-db", *files, "--auth-root-authentication-method=normal")
    socket = f"--socket={folder / 'db.sock'}"
    start(stack, "mariadbd", *files, socket, "--port=17820", "--bind-address=127.0.0.1", "--user=root")
    wait_for("db.sock", lambda: " ".join(path.name for path in folder.iterdir()))
    run("mariadb", "--no-defaults", socket, "-u", "root", "-e", ACCOUNT)


def start(stack, *words):
    """Start a program that ends with the stack."""
    environment = {**os.environ, "PATH": SEARCHED}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    process = subprocess.Popen([*map(str, words)], **quiet)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)


def run(*words):
    """What a command prints; "" where it fails."""
    environment = {**os.environ, "PATH": SEARCHED}
    finished = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=180, check=False, env=environment
    )
    return finished.stdout


def wait_for(word, shown, seconds=180):
    """Wait until `shown()` has `word`, and return what it had."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if word in (text := shown()):
                return text
        except (OSError, subprocess.TimeoutExpired):
            pass
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds} s for {word}")
