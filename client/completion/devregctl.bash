# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of devregctl for bash. The words come from devregctl itself, so they can't be outdated.
#
# Names of regions come from a daemon that may be anybody's: they are compared here rather than given to
# `compgen -W`, which would expand a $(command) in them.

_devregctl_offer()
{
    local current=$1 word
    while IFS= read -r word; do
        [[ $word == "$current"* ]] && COMPREPLY+=("$word")
    done
}

_devregctl_regions()
{
    local pattern='^[A-Za-z0-9._-]+$' name _
    devregctl "${host[@]}" --timeout 1 list 2>/dev/null </dev/null | while read -r name _; do
        [[ $name =~ $pattern && $name != REGION ]] && printf '%s%s\n' "$name" "$1"
    done
}

_devregctl_devices()
{
    local pattern='^[A-Za-z0-9._-]+$' name _
    devregctl "${host[@]}" --timeout 1 list devices 2>/dev/null </dev/null | while read -r name _; do
        [[ $name =~ $pattern && $name != DEVICE ]] && printf '%s\n' "$name"
    done
}

_devregctl_sources()
{
    local pattern='^[A-Za-z0-9._-]+$' name _
    devregctl "${host[@]}" --timeout 1 interrupts 2>/dev/null </dev/null | while read -r name _; do
        [[ $name =~ $pattern && $name != NAME ]] && printf '%s\n' "$name"
    done
}

_devregctl_buffers()
{
    local pattern='^b-[0-9a-f]+$' id _
    devregctl "${host[@]}" --timeout 1 buffer list 2>/dev/null </dev/null | while read -r id _; do
        [[ $id =~ $pattern ]] && printf '%s\n' "$id"
    done
}

# The command of reserve or interrupts wait: its own completion is not known here.
_devregctl_command()
{
    if (($2)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$1" | sort -u)
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
    fi
}

_devregctl()
{
    local line=${COMP_LINE:0:COMP_POINT} current previous verb='' position=0 i
    local -a words host=()
    COMPREPLY=()

    # COMP_WORDS is split at colons; places have one.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    current=${words[-1]}
    previous=${words[-2]}

    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
        -H | --host)
            host+=(-H "${words[i + 1]}")
            ((i++))
            ;;
        --cacert | --cert | --key)
            host+=("${words[i]}" "${words[i + 1]}")
            ((i++))
            ;;
        --)
            if [[ $verb == reserve || $verb == 'interrupts wait' ]]; then
                _devregctl_command "$current" $((i == ${#words[@]} - 2))
                return
            fi
            ;;
        --timeout | --width | --count | --mask | -o | --output | --for | --note | --contact | --takeover | --safe | \
            --permission | --region | --value | --since | --until | --principal | --action | --result | -n | --limit | \
            --driver | --kind | --heartbeat | --bits | --alignment | --boundary | --direction | --reservation | --offset | \
            --length)
            ((i++))
            ;;
        -*) ;;
        *)
            if [[ -z $verb || ($verb =~ ^(data|access|token|interrupts|buffer)$ && $position == 0) ]]; then
                verb+=${verb:+ }${words[i]}
            else
                ((position++))
            fi
            ;;
        esac
    done

    [[ $verb == 'interrupts list' ]] && verb=interrupts position=1

    case $previous in
    -H | --host | -o | --output | --cacert | --cert | --key)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --width)
        _devregctl_offer "$current" < <(printf '%s\n' 8 16 32 64)
        return
        ;;
    --permission)
        _devregctl_offer "$current" < <(printf '%s\n' list read write interrupt dma reserve admin)
        return
        ;;
    --driver)
        _devregctl_offer "$current" < <(printf '%s\n' devreg uio_pci_generic vfio-pci pci-stub)
        return
        ;;
    --kind)
        if [[ $verb == 'buffer alloc' ]]; then
            _devregctl_offer "$current" < <(printf '%s\n' coherent streaming scattered pool)
        else
            _devregctl_offer "$current" < <(printf '%s\n' interrupt mask storm device driver reset daemon)
        fi
        return
        ;;
    --direction)
        _devregctl_offer "$current" < <(printf '%s\n' both to_device from_device)
        return
        ;;
    --result)
        _devregctl_offer "$current" < <(printf '%s\n' ok refused failed)
        return
        ;;
    --region)
        _devregctl_offer "$current" < <(_devregctl_regions '')
        return
        ;;
    --safe)
        [[ $current == *:* ]] || _devregctl_offer "$current" < <(_devregctl_regions :0x)
        compopt -o nospace 2>/dev/null
        return
        ;;
    --timeout | --count | --mask | --for | --note | --contact | --takeover | --value | --since | --until | \
        --principal | --action | -n | --limit | --heartbeat | --bits | --alignment | --boundary | --reservation | \
        --offset | --length)
        return
        ;;
    esac

    if [[ $current == -* ]]; then
        _devregctl_offer "$current" < <(devregctl --list-options "$verb" 2>/dev/null | sed 's/=$//')
        return
    fi

    case $verb:$position in
    :0) _devregctl_offer "$current" < <(devregctl --list-verbs | cut -d' ' -f1 | sort -u) ;;
    data:0 | access:0 | token:0 | buffer:0) _devregctl_offer "$current" < <(devregctl --list-verbs | sed -n "s/^$verb //p") ;;
    interrupts:0) _devregctl_offer "$current" < <(printf '%s\n' list mask unmask wait watch) ;;
    'interrupts watch':* | 'interrupts wait':* | 'interrupts mask:0' | 'interrupts unmask:0')
        _devregctl_offer "$current" < <(_devregctl_sources)
        ;;
    bind:0 | unbind:0 | reset:0 | 'buffer alloc:0') _devregctl_offer "$current" < <(_devregctl_devices) ;;
    list:0) _devregctl_offer "$current" < <(printf '%s\n' regions devices) ;;
    show:0 | explain:0 | reserve:0 | release:0 | 'access explain:1') _devregctl_offer "$current" < <(_devregctl_regions '') ;;
    read:* | write:0 | 'data get:0' | 'data put:0')
        [[ $current == *:* ]] || _devregctl_offer "$current" < <(_devregctl_regions :0x)
        compopt -o nospace 2>/dev/null
        ;;
    'buffer show:0' | 'buffer get:0' | 'buffer put:0' | 'buffer fill:0' | 'buffer sync:0' | 'buffer renew:0' | \
        'buffer free':*)
        _devregctl_offer "$current" < <(_devregctl_buffers)
        ;;
    'buffer sync:1') _devregctl_offer "$current" < <(printf '%s\n' device cpu) ;;
    'data put:1' | 'buffer get:1' | 'buffer put:1') mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}

complete -F _devregctl devregctl
