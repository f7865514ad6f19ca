//! What a mirror tells of itself, on the loopback.

use std::time::Duration;

use ci_build::registry::{Limits, Mirror, examine};
use ci_build_test_registry::{Fault, Image, On, Registry};

const LIMITS: Limits =
    Limits { first_byte: Duration::from_secs(5), floor: 1 << 20, window: Duration::from_secs(10) };

#[test]
fn a_mirror_is_examined_by_what_it_has() {
    let registry = Registry::start().unwrap();
    registry.put("team/app", "1", &Image::new(1, 2, 100_000));
    let mirror: Mirror = format!("registry.example=http://{}", registry.address()).parse().unwrap();
    let look = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(examine(&mirror, LIMITS))
    };
    let quick = look().unwrap();
    assert!(quick.rate.is_some_and(|rate| rate > LIMITS.floor), "{quick:?}");
    registry.fault(On::Blob, Fault::Drip(10_000));
    let slow = look().unwrap();
    assert!(slow.rate.is_some_and(|rate| rate < 20_000), "{slow:?}");
    // Who does not let us look is asked no more.
    registry.fault(On::Manifest, Fault::Status(401));
    assert_eq!(look().unwrap().rate, None);
    drop(registry);
    assert!(look().is_err());
}
