# shellcheck shell=sh
# Sourced by bin/kernleap, bin/test and bin/check: makes the environment of this checkout.
#
# The environment is .venv, filled from requirements/*.lock by hash and nothing else. A stamp,
# written last, says what it was made from; without a matching stamp it is made again, so an
# interrupted set-up repairs itself. The check on every start costs a few milliseconds.
#
# Expects `root` (the checkout). Reads KERNLEAP_PYTHON (the interpreter to use), KERNLEAP_YES
# (allow sudo for system packages) and KERNLEAP_NO_SETUP (trust what is there).

EXIT_INFRASTRUCTURE=20
venv=$root/.venv
stamp=$venv/kernleap.stamp

say() { printf 'kernleap: %s\n' "$*" >&2; }

fail() { # WHAT [NEXT STEP]
    say "$1"
    if [ -n "${2-}" ]; then printf '  next:  %s\n' "$2" >&2; fi
    exit "$EXIT_INFRASTRUCTURE"
}

# Is the environment complete, for this checkout, these locks and an interpreter still there?
env_is_ready() { # LEVEL
    [ -r "$stamp" ] || return 1
    {
        read -r made_level && read -r made_root && read -r made_python
    } <"$stamp" || return 1
    [ "$made_root" = "$root" ] && [ "$venv/bin/python" -ef "$made_python" ] || return 1
    cmp -s "$root/requirements/run.lock" "$venv/kernleap.run.lock" || return 1
    [ "$1" = run ] && return 0
    [ "$made_level" = dev ] && cmp -s "$root/requirements/dev.lock" "$venv/kernleap.dev.lock"
}

ensure_env() { # LEVEL: run | dev
    [ -z "${KERNLEAP_NO_SETUP-}" ] || return 0
    env_is_ready "$1" && return 0
    command -v flock >/dev/null || fail "the command flock is missing" "install util-linux"
    # In a subshell: a failed redirection of a special built-in would end this one.
    (: >>"$root/.venv.lock") 2>/dev/null || fail "cannot write to the checkout $root"
    # In a subshell, so that the lock ends with it and whatever ends it.
    (
        if ! flock -n 9; then
            say "waiting for another set-up of this checkout"
            flock 9
        fi
        env_is_ready "$1" || make_env "$1"
    ) 9>>"$root/.venv.lock" || exit $?
}

find_python() {
    for candidate in ${KERNLEAP_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        found=$(command -v "$candidate") || continue
        "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        printf '%s\n' "$found"
        return 0
    done
    return 1
}

make_env() { # LEVEL
    began=$(date +%s)
    if ! python=$(find_python); then
        [ -z "${KERNLEAP_PYTHON-}" ] || fail "KERNLEAP_PYTHON=$KERNLEAP_PYTHON is no Python 3.11 or newer"
        require_packages "Python 3.11 or newer" python3 python3-venv
        python=$(find_python) || fail "Python 3.11 or newer is needed; the newest python3 found is older" \
            "install it, or name one: KERNLEAP_PYTHON=/path/to/python3.11"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        require_packages "the venv module of $python" "python$version-venv"
    fi

    log=$root/.venv.log
    : >"$log"
    if ! env_is_ready run; then
        say "setting up $venv with $("$python" -V 2>&1) (once, about 20 s and 1 GB)"
        # pip runs inside: PIP_* settings and pip.conf stay the user's, but never --user or --target.
        unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
        rm -rf "$venv" 2>>"$log" || fail "cannot remove the incomplete $venv"
        "$python" -m venv "$venv" >>"$log" 2>&1 || set_up_failed "cannot make a virtual environment"
    fi
    count=$(grep -c '^[a-z0-9].*==' "$root/requirements/$1.lock")
    say "installing $count packages, each pinned by its hash"
    install_lock "$1"

    # `kernleap` is importable from the checkout, whatever the current directory.
    for site in "$venv"/lib/python3*/site-packages; do
        printf '%s\n' "$root/src" >"$site/kernleap-checkout.pth"
    done
    cp "$root/requirements/run.lock" "$venv/kernleap.run.lock"
    [ "$1" = run ] || cp "$root/requirements/dev.lock" "$venv/kernleap.dev.lock"
    real=$(readlink -f "$venv/bin/python")
    printf '%s\n%s\n%s\n' "$1" "$root" "$real" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    rm -f "$log"
    say "ready after $(($(date +%s) - began)) s"
}

# uv installs about four times faster than pip, so pip only installs uv. Where the registry is
# reachable by pip alone (its own configuration, proxies), pip does it all.
install_lock() { # LEVEL
    index=$("$venv/bin/python" -m pip config list 2>/dev/null |
        sed -n "s/^\(global\|install\|:env:\)\.index-url='\(.*\)'$/\2/p" | tail -n 1)
    if "$venv/bin/python" -m pip install --quiet --no-compile --no-deps --require-hashes \
        --only-binary :all: -r "$root/requirements/uv.lock" >>"$log" 2>&1 &&
        ${index:+env UV_DEFAULT_INDEX="$index"} "$venv/bin/uv" pip install --quiet \
            --python "$venv/bin/python" --no-deps --require-hashes --only-binary :all: \
            -r "$root/requirements/$1.lock" >>"$log" 2>&1; then
        return 0
    fi
    say "the fast installer did not get through; trying pip"
    "$venv/bin/python" -m pip install --quiet --no-compile --no-deps --require-hashes \
        --only-binary :all: -r "$root/requirements/$1.lock" >>"$log" 2>&1 ||
        set_up_failed "cannot install the locked packages"
}

set_up_failed() { # WHAT
    tail -n 8 "$log" | sed 's/^/  | /' >&2
    fail "$1 (log: $log)" "check the network and the disk, then run the same command again"
}

# The one line that installs system packages here, or nothing where that is not known.
install_line() { # DEBIAN PACKAGE...
    if command -v apt-get >/dev/null; then
        echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    elif command -v dnf >/dev/null; then
        echo "sudo dnf install $(echo "$*" | sed 's/qemu-system-x86/qemu-system-x86-core/; s/qemu-system-arm/qemu-system-aarch64-core/; s/python[0-9.]*-venv/python3/')"
    elif command -v pacman >/dev/null; then
        echo "sudo pacman -S $(echo "$*" | sed 's/python[0-9.]*-venv//; s/python3/python/; s/qemu-system-arm/qemu-system-aarch64/')"
    else
        echo "install $* with your system's package manager"
    fi
}

# Install with apt where that is allowed: as root, or with sudo after --yes.
try_install() { # DEBIAN PACKAGE...
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif [ -n "${KERNLEAP_YES-}" ] && command -v sudo >/dev/null; then
        as_root=sudo
    else
        return 1
    fi
    say "installing system packages: $*"
    apt_log=$(mktemp)
    apt_install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=180"
    # The lists may be missing or stale; refresh them only if the first try needs it.
    # shellcheck disable=SC2086
    if $apt_install install -y --no-install-recommends "$@" </dev/null >"$apt_log" 2>&1 ||
        { $apt_install update </dev/null >>"$apt_log" 2>&1 &&
            $apt_install install -y --no-install-recommends "$@" </dev/null >>"$apt_log" 2>&1; }; then
        rm -f "$apt_log"
        return 0
    fi
    tail -n 5 "$apt_log" | sed 's/^/  | /' >&2
    rm -f "$apt_log"
    return 1
}

require_packages() { # WHAT DEBIAN PACKAGE...
    missing=$1
    shift
    try_install "$@" || fail "$missing is missing" "$(install_line "$@")"
}

# A program that the job cannot do without: installed where allowed, else exit with the line to run.
require_program() { # PROGRAM DEBIAN PACKAGE...
    [ -z "${KERNLEAP_NO_SETUP-}" ] || return 0
    command -v "$1" >/dev/null && return 0
    require_packages "$@"
}

# A program that some tests use: they are skipped, with the reason, where it is not to be had.
want_program() { # PROGRAM DEBIAN PACKAGE...
    [ -z "${KERNLEAP_NO_SETUP-}" ] || return 0
    command -v "$1" >/dev/null && return 0
    wanted=$1
    shift
    try_install "$@" || say "without $wanted some tests are skipped; to get it: $(install_line "$@")"
}
