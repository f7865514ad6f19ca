//! Whoever works by paths is led out of the tree by somebody who swaps directories for links; the sweep is not.

use super::ground::Ground;
use super::swaps::{Attack, by_paths, sweep};

#[test]
fn nothing_outside_is_touched_whatever_is_swapped() {
    for parent in [std::env::temp_dir(), "/dev/shm".into()].into_iter().filter(|parent| parent.is_dir()) {
        let ground = Ground::in_directory(&parent);
        let attack = Attack::new(&ground.path()).unwrap();
        let mut removed = 0;
        let came = attack.run(20_000, || {
            removed += sweep(&attack.tree(), &ground.state()).unwrap();
        });
        assert_eq!(came.lost, 0, "{}: {came:?}", parent.display());
        assert!(came.swaps >= 20_000 && removed > 0 && came.sweeps > 1, "{came:?}, {removed} removed");
    }
}

#[test]
fn whoever_works_by_paths_is_led_outside() {
    let ground = Ground::new();
    let attack = Attack::new(&ground.path()).unwrap();
    let came = attack.run(5_000_000, || by_paths(&attack.tree()));
    assert!(came.lost > 0, "the attack does nothing: {came:?}");
}
