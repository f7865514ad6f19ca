//! Hazards and plan of a generated build, ten times as large each time: 1,000 and 10,000 stages with two cache-mounting RUNs
//! each.

#![allow(missing_docs)] // what criterion makes has none

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::plan::{Plan, Policy};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

mod support;

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hazards and plan");
    group.sample_size(10);
    for stages in [1_000, 10_000] {
        let text = support::dockerfile(stages);
        let parsed = dockerfile::parse(text.as_bytes()).expect("it is generated");
        let graph = dockerfile::read("Dockerfile", &parsed, &Options::default()).expect("it is generated");
        group.bench_with_input(BenchmarkId::from_parameter(stages), &graph, |bencher, graph| {
            bencher.iter(|| Plan::of(graph, &Policy::Auto.into()));
        });
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
