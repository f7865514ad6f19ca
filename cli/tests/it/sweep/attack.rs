//! Whoever works by paths is led out of the tree by somebody who swaps directories for links; the sweep is not.

use rustix::fs::{CWD, RenameFlags, renameat_with};

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
    let (tree, link) = (attack.tree(), ground.path().join("link0"));
    let directory = tree.join("d0");
    // At the moment that the attack of the other test has to hit.
    by_paths(&tree, &|listed| {
        if listed == directory {
            renameat_with(CWD, &directory, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        }
    });
    assert!(!ground.path().join("outside/f0").exists(), "the attack does nothing");
}
