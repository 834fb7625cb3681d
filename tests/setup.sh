# Sets a machine up: system packages, a virtual environment, the package. Sourced by tests/run and notebooks/demo.
# Does nothing the second time. It says what it does while it does it; where it cannot install something, it says exactly what is
# missing, and ends.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Each requirement is "what:packages": a program, a file, or lib:NAME for a shared library; packages are tried in turn.
present() {
    case $1 in
        /*) [ -e "$1" ] ;;
        lib:*) PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q "${1#lib:}" ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

install_one() {
    local package
    for package in ${1//|/ }; do
        apt-cache show "$package" >/dev/null 2>&1 || continue
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null && return
    done
    return 1
}

need() {
    local requirement missing=()
    for requirement in "$@"; do
        present "${requirement%%:*}" || case $requirement in
            lib:*) present "lib:$(cut -d: -f2 <<<"$requirement")" || missing+=("$requirement") ;;
            *) missing+=("$requirement") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local packages=("${missing[@]##*:}")
    command -v apt-get >/dev/null || die "Missing here: ${packages[*]}. There is no apt-get on this system; install them (| means: either) and run this again."
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "Missing here: ${packages[*]}. Run as root, or install sudo, and run this again."
    say "installing with apt: ${packages[*]}"
    as_root apt-get update -qq >/dev/null
    for requirement in "${packages[@]}"; do
        say "  $requirement"
        install_one "$requirement" || die "apt-get could not install $requirement; install it by hand and run this again."
    done
}

find_python() {
    local candidate
    for candidate in ${FMRW_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$candidate"; return; }
    done
    return 1
}

# Where the versions come from: `locked` takes those that were tested, from tests/locks/; `latest` the newest there are, in an
# environment of its own, anew every time.
versions=locked

make_venv() {
    local python number lock= wanted
    python=$(find_python) || { need python3.11:python3; python=$(find_python); } || die "Python 3.11 or newer is missing; install it and run this again."
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need "/no/such/file:python3-venv"
    number=$(python_number "$python")
    if [ "$versions" = locked ] && [ ! -e "$root/tests/locks/python$number.txt" ]; then
        say "no versions were tested with Python $number: taking the newest" && versions=latest
    fi
    if [ "$versions" = latest ]; then venv=$root/.venv-latest; else lock=tests/locks/python$number.txt; fi

    local stamp=$venv/.made-from$1
    wanted=$("$python" --version; cd "$root"; cat pyproject.toml ${lock:+"$lock"} | sha256sum)
    [ -n "$lock" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    say "making $venv: Python packages from pip, one to three minutes the first time"
    [ "$(python_number "$venv/bin/python")" = "$number" ] || "$python" -m venv --clear "$venv" || die "No virtual environment could be made with $python; \`apt-get install python3-venv\` and run this again."
    pip_install "$1" "$lock" || die "pip could not install fmrw and what it needs; see above."
    printf '%s\n' "$wanted" >"$stamp"
}

python_number() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# A constraint in the environment holds for what builds fmrw too: PIP_CONSTRAINT up to pip 25.2, PIP_BUILD_CONSTRAINT after it.
# Relative, since pip splits its value at spaces.
pip_install() (
    cd "$root"
    local pip=("$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off)
    if [ -n "$2" ]; then
        PIP_CONSTRAINT=$2 PIP_BUILD_CONSTRAINT=$2 "${pip[@]}" -e ".$1" 2>&1 | pip_steps
    else
        "${pip[@]}" --upgrade --upgrade-strategy eager -e ".$1" 2>&1 | pip_steps
    fi
)

# Of what pip tells, the steps that take time (on a terminal one line that changes, elsewhere every twentieth package) and errors.
pip_steps() {
    local line number=0
    while IFS= read -r line; do
        case $line in
            Collecting\ *)
                number=$((number + 1))
                if [ -t 2 ]; then printf '\r\033[K  package %d: %s' $number "${line#Collecting }" >&2
                elif [ $((number % 20)) = 0 ]; then say "  package $number: ${line#Collecting }"; fi ;;
            *Building\ *|Installing\ collected*) [ ! -t 2 ] || printf '\r\033[K' >&2; line=${line%%:*}; say "  ${line#"${line%%[! ]*}"}" ;;
            *ERROR*|*error:*) [ ! -t 2 ] || printf '\r\033[K' >&2; say "$line" ;;
        esac
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

fuse_packages=("fusermount3:fuse3" "lib:libfuse.so.2:libfuse2|libfuse2t64")
parser_packages=("7z:p7zip-full|7zip" "unzip:unzip" "file:file" "bsdtar:libarchive-tools" "pdftotext:poppler-utils")

need_fuse() {
    need "${fuse_packages[@]}"
    [ -e /dev/fuse ] || die "/dev/fuse is missing: FUSE is not in this kernel or container; try \`modprobe fuse\`, or start the container with --device /dev/fuse --cap-add SYS_ADMIN."
}
