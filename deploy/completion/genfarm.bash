# bash completion for genfarm, genfarm-worker and gemini-emulator

_genfarm()
{
    local current=${COMP_WORDS[COMP_CWORD]} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="run submit watch collect status list workers cancel retry dead pause resume preview sheet usage quota limits doctor fsck --help --version"
    else
        case ${COMP_WORDS[1]} in
        run) words="--format --batch --count --skip-bad --model --aspect-ratio --image-size --negative --seed --temperature --user --priority --lane --max-attempts --timeout --deadline --batch-deadline --dedupe --on-unknown --budget --project --keep --catalogue --workers --concurrency --limit --api-key-file --projects --gemini-base-url --gemini-ca --verify --resume --no-sheet --output --ordered --json --redis --redis-ca --queue --help" ;;
        submit) words="--format --batch --count --skip-bad --model --aspect-ratio --image-size --negative --seed --temperature --user --priority --lane --max-attempts --timeout --deadline --batch-deadline --dedupe --on-unknown --budget --project --keep --catalogue --max-queue --max-queue-bytes --wait --redis --redis-ca --queue --help" ;;
        watch) words="--after --json --redis --redis-ca --queue --help" ;;
        collect) words="--output --ordered --json --redis --redis-ca --queue --help" ;;
        status) words="--json --redis --redis-ca --queue --help" ;;
        list) words="--json --redis --redis-ca --queue --help" ;;
        workers) words="--json --redis --redis-ca --queue --help" ;;
        cancel) words="--redis --redis-ca --queue --help" ;;
        retry) words="--budget --code --redis --redis-ca --queue --help" ;;
        dead) words="--json --code --batch --all --retry --export --drop --redis --redis-ca --queue --help" ;;
        pause) words="--redis --redis-ca --queue --help" ;;
        resume) words="--budget --redis --redis-ca --queue --help" ;;
        preview) words="--format --batch --count --skip-bad --model --aspect-ratio --image-size --negative --seed --temperature --user --priority --lane --max-attempts --timeout --deadline --batch-deadline --dedupe --on-unknown --budget --project --keep --catalogue --json --redis --redis-ca --queue --help" ;;
        sheet) words="--output --columns --cell --help" ;;
        usage) words="--json --by --calls --batch --days --day --since --until --csv --redis --redis-ca --queue --help" ;;
        quota) words="--json --redis --redis-ca --queue --help" ;;
        limits) words="--catalogue --json --redis --redis-ca --queue --help" ;;
        doctor) words="--json --model --catalogue --api-key-file --projects --gemini-base-url --gemini-ca --redis --redis-ca --queue --help" ;;
        fsck) words="--json --repair --redis --redis-ca --queue --help" ;;
        *) words="" ;;
        esac
    fi
    case $current in
    -*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
    *)
        if [ "$COMP_CWORD" -eq 1 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
        ;;
    esac
}
complete -o filenames -F _genfarm genfarm
complete -o filenames -W "--redis --redis-ca --queue --concurrency --limit --project --lease --grace --max-batches --batch-bytes --sink --max-stored --keep --keep-bytes --ledger --spool --verify --api-key-file --projects --gemini-base-url --gemini-ca --catalogue --log-level --log-file --check --help --version" genfarm-worker
complete -o filenames -W "--listen --port-file --key --threads --latency --jitter --batch-latency --size --bytes --image --format --thought-signature --quota --fault --batch-fault --seed --log --help --version" gemini-emulator
