//! What goes beside images, each by its own switch.

use super::super::lock::command::ci_build;
use super::stock::{Container, Stock, hours_ago, report};

/// An image, and a container of ours made from it, which ended so many hours ago.
fn ended(hours: i64) -> Stock {
    let container =
        Container { image: 0, created: hours_ago(1000), ended: Some(hours_ago(hours)), is_ours: true };
    Stock { containers: [("left".into(), container)].into(), ..Stock::made(1, 2000) }
}

#[test]
fn a_containers_volumes_go_by_their_own_switch() {
    for (line, asked) in [("prune --containers", "v=false"), ("prune --containers --volumes", "v=true")] {
        let (engine, stock) = ended(900).start(|_, _, _| {});
        let state = tempfile::tempdir().unwrap();
        report(ci_build(state.path(), line).env("DOCKER_HOST", engine.host()));
        let stock = stock.lock().unwrap();
        let deletion = stock.asked.iter().find(|asked| asked.starts_with("DELETE /containers/left?"));
        assert!(deletion.is_some_and(|deletion| deletion.contains(asked)), "{line}: {:?}", stock.asked);
        assert!(stock.containers.is_empty() && stock.images.is_empty(), "{line}: {:?}", stock.asked);
    }
}
