//! Reading Dockerfiles, ours beside parse-dockerfile, which finds the instructions and leaves flags, mounts and words as they
//! are. On the files of testdata that both accept, on a generated one, and on those of the directory that
//! `CI_BUILD_CORPUS` names, if it does.

#![allow(missing_docs)] // what criterion makes has none

use std::fs;
use std::path::Path;

use ci_build_frontend::dockerfile;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

mod support;

fn files(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if let Ok(text) = fs::read_to_string(&path)
            && dockerfile::parse(text.as_bytes()).is_ok()
            && parse_dockerfile::parse(&text).is_ok()
        {
            files.push(text);
        }
    }
    files
}

fn reader(criterion: &mut Criterion) {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut sets = vec![("testdata", files(&testdata)), ("generated", vec![support::dockerfile(1000)])];
    if let Some(corpus) = std::env::var_os("CI_BUILD_CORPUS") {
        sets.push(("corpus", files(Path::new(&corpus))));
    }
    let mut group = criterion.benchmark_group("reader");
    for (name, files) in &sets {
        let bytes: usize = files.iter().map(String::len).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_with_input(BenchmarkId::new("ours", name), files, |bencher, files| {
            bencher.iter(|| {
                files.iter().map(|file| dockerfile::parse(file.as_bytes()).map(drop)).collect::<Vec<_>>()
            });
        });
        group.bench_with_input(BenchmarkId::new("parse-dockerfile", name), files, |bencher, files| {
            bencher.iter(|| {
                files.iter().map(|file| parse_dockerfile::parse(file).map(drop).is_ok()).collect::<Vec<_>>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reader);
criterion_main!(benches);
