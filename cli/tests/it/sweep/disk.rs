//! Sweeps where the disk is full, which is when they are needed most, and by what the mounts are.

use super::super::lock::disk::on_a_disk;

/// The trail lies on the disk that the sweep makes room on: its first line waits for the first thing that goes.
#[test]
fn a_full_disk_keeps_nobody_from_making_room() {
    let script = r#"
        disk="$CI_BUILD_STATE_DIR"; export CI_BUILD_STATE_DIR="$disk/state"
        mkdir "$disk/cache" "$disk/other"
        head -c 20000 /dev/zero > "$disk/cache/old"; touch -d '30 days ago' "$disk/cache/old"
        "$ci" sweep --io normal --by mtime "$disk/other" > "$disk/told"
        trail="$CI_BUILD_STATE_DIR/sweep/trail.jsonl"
        # No room is left behind its last line either.
        head -c $((4096 - $(stat -c %s "$trail") % 4096)) /dev/zero | tr '\0' '\n' >> "$trail"
        cat /dev/zero > "$disk/ballast" 2>/dev/null || true
        if echo x 2>/dev/null >> "$trail"; then echo 'there is room'; fi
        "$ci" sweep --io normal --by mtime "$disk/cache" | sed 's/; .* s$//'
        grep --only-matching '"what":"[a-z]*"' "$trail" | tail -3"#;
    let (stdout, stderr, code) = on_a_disk("size=128k", script);
    assert_eq!((stderr.as_str(), code), ("", 0), "{stdout}");
    insta::assert_snapshot!(stdout, @r#"
    /state/cache: 1 of 1 files removed, 20.0 KiB of 20.0 KiB freed
    "what":"begin"
    "what":"removed"
    "what":"end"
    "#);
}

#[test]
fn what_is_mounted_stays_with_what_is_in_it() {
    let script = r#"
        cache="$CI_BUILD_STATE_DIR/cache"; export CI_BUILD_STATE_DIR="$CI_BUILD_STATE_DIR/state"
        mkdir -p "$cache/inner" "$cache/mine"
        touch -d '30 days ago' "$cache/old" "$cache/bound" "$cache/mine/old"
        mount -t tmpfs none "$cache/inner"; touch -d '30 days ago' "$cache/inner/old"
        mount --bind "$cache/bound" "$cache/bound"
        mount --bind "$cache/mine" "$cache/mine"
        "$ci" sweep --io normal --by mtime --format json "$cache" | grep --only-matching '"stays":{[^}]*}'
        cd "$cache"; find . -type f | sort"#;
    let (stdout, stderr, code) = on_a_disk("size=1m", script);
    assert_eq!((stderr.as_str(), code), ("", 0), "{stdout}");
    insta::assert_snapshot!(stdout, @r#"
    "stays":{"mounted":1}
    ./bound
    ./inner/old
    ./mine/old
    "#);
}

#[test]
fn by_atime_is_refused_where_there_is_none() {
    let script = r#"
        mount -o remount,noatime "$CI_BUILD_STATE_DIR"
        cache="$CI_BUILD_STATE_DIR/cache"; export CI_BUILD_STATE_DIR="$CI_BUILD_STATE_DIR/state"
        mkdir "$cache"; touch -d '30 days ago' "$cache/old"
        "$ci" sweep --io normal --by atime "$cache" || echo "ended with $?"
        ls "$cache"
        "$ci" sweep --io normal "$cache" | sed 's/; .* s$//'"#;
    let (stdout, stderr, code) = on_a_disk("size=1m", script);
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!(stdout, @r"
    ended with 2
    old
    /state/cache: 1 of 1 files removed, 0 B of 0 B freed
    ");
    insta::assert_snapshot!(stderr, @r"
    error: the mount of '/state/cache' keeps no atime (noatime), so that it cannot be swept by it
      help: --by last-use or --by mtime
    note: the mount keeps no atime (noatime): a file counts as used when it was changed, when a sweep found it in use, or when `ci-build sweep --touch` said so
    ");
}
