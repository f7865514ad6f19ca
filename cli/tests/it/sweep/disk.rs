//! Sweeps where the disk is full, which is when they are needed most.

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
