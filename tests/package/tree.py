"""A Debian to install into: a tree of debootstrap, from the mirror that this machine's own apt is told of. The empty one is made once and kept in
build/package; each test has a copy. Root is needed."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "build" / "package"
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
CLONE_NEWNS, MS_REC, MS_PRIVATE, PR_SET_PDEATHSIG = 0x20000, 16384, 1 << 18, 1 # <sched.h>, <sys/mount.h>, <sys/prctl.h>


def run(*command, **options):
    """What it said; a command that fails ends the test with all that it said."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(str(word) for word in command)}\n{done.stdout}\nended with {done.returncode}")
    return done.stdout


def sources():
    """(site, suite) of what apt is told of, of this suite and its updates; the suite itself first."""
    told = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages", "Component: main").split("\n")
    pairs = {tuple(line.split()) for line in told if line and line.split()[1].startswith(SUITE)}
    return sorted(pairs, key=lambda pair: (pair[1] != SUITE, pair[1]))


def make_empty(to):
    (site, suite), *_ = sources()
    proxy = dict(line.split("=", 1) for line in run("apt-config", "shell", "http_proxy", "Acquire::http::Proxy").replace("'", "").split())
    environment = {**os.environ, **proxy}
    run("debootstrap", "--variant=minbase", f"--keyring={KEYRING}", "--include=ca-certificates", suite, to, site, env=environment)
    lines = [f"deb [signed-by={KEYRING}] {site} {suite} main\n" for site, suite in sources()]
    (to / "etc/apt/sources.list").write_text("".join(lines), encoding="utf-8")
    if proxy:
        (to / "etc/apt/apt.conf.d/proxy").write_text(f'Acquire::http::Proxy "{proxy["http_proxy"]}";\n', encoding="utf-8")
    (to / "etc/apt/apt.conf.d/keep").write_text('Binary::apt::APT::Keep-Downloaded-Packages "true";\n', encoding="utf-8")
    shutil.copy("/etc/resolv.conf", to / "etc/resolv.conf")
    shutil.copy("/etc/hosts", to / "etc/hosts")
    Tree(to).run("apt-get", "update", "-q")


class Tree:
    """A copy of the empty one, gone at the end of the `with`."""

    def __init__(self, root=None):
        self.root = root

    def __enter__(self):
        empty = KEPT / "debian"
        if not empty.exists():
            KEPT.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(KEPT / "debian.part", ignore_errors=True)
            make_empty(KEPT / "debian.part")
            (KEPT / "debian.part").rename(empty)
        self.folder = tempfile.mkdtemp(prefix="tree-", dir=KEPT)
        self.root = pathlib.Path(self.folder) / "root"
        run("cp", "-a", "--reflink=auto", empty, self.root)
        return self

    def __exit__(self, *_):
        # What was downloaded is not downloaded again.
        for package in (self.root / "var/cache/apt/archives").glob("*.deb"):
            kept = KEPT / "debian/var/cache/apt/archives" / package.name
            if not kept.exists():
                shutil.copy(package, kept)
        shutil.rmtree(self.folder)

    def enter(self, user=None):
        """In a child, in front of its command: into the tree, with a /proc that goes with it, and as somebody."""
        libc = ctypes.CDLL(None, use_errno=True)

        def do(result):
            if result != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

        ids = self.ids_of(user) if user else None
        root = str(self.root).encode()
        do(libc.unshare(CLONE_NEWNS))
        do(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        do(libc.mount(b"proc", root + b"/proc", b"proc", 0, None))
        do(libc.mount(b"sysfs", root + b"/sys", b"sysfs", 0, None))
        os.chroot(self.root)
        os.chdir("/")
        if ids:
            os.setgroups([ids[1]])
            os.setgid(ids[1])
            os.setuid(ids[0])
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def ids_of(self, user):
        for line in self.read("/etc/passwd").splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise AssertionError(f"there is no user {user}")

    def start(self, *command, user=None, before=None, **more):
        """A process inside, which ends with this one. `before` is called in it, last of all."""
        def prepare():
            self.enter(user)
            if before:
                before()

        return subprocess.Popen([str(word) for word in command], preexec_fn=prepare, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, **more)

    def run(self, *command, user=None, expect=0):
        child = self.start(*command, user=user)
        said, _ = child.communicate()
        if child.returncode != expect:
            raise AssertionError(f"{' '.join(str(word) for word in command)}\n{said}\nended with {child.returncode}")
        return said

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def write(self, path, text):
        (self.root / path.lstrip("/")).write_text(text, encoding="utf-8")

    def exists(self, path):
        return os.path.lexists(self.root / path.lstrip("/"))

    def everything(self):
        """Each file with its mode, owner and, if it is short, its contents: what a purge has to bring back. What dpkg, apt and the dynamic
        linker write for themselves is left out, and the copies that are made of the files of users."""
        own = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/proc", "/sys", "/dev", "/etc/ld.so.cache", "/run", "/tmp")
        found = {}
        for folder, folders, files in os.walk(self.root):
            place = "/" + str(pathlib.Path(folder).relative_to(self.root)).lstrip(".")
            folders[:] = [name for name in folders if not os.path.join(place, name).startswith(own)]
            for name in [*folders, *files]:
                path = os.path.join(place, name)
                if path.startswith(own) or path in ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"):
                    continue
                whole = pathlib.Path(folder) / name
                about = whole.lstat()
                text = whole.read_bytes() if whole.is_file() and not whole.is_symlink() and about.st_size < 65_536 else b""
                found[path] = (oct(about.st_mode), about.st_uid, about.st_gid, text)
        return found
