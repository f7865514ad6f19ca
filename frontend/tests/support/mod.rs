//! Captured definitions. Not every test needs all of it.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

use ci_build_frontend::llb::Definition;

/// Those of one build: `name.pb`, and for further platforms, in the order of their names, `name.1.pb` and so on.
pub(crate) fn definitions(path: &Path) -> Vec<Definition> {
    let mut platforms = platforms(path).into_iter();
    let further = (1..).map(|number| path.with_extension(format!("{number}.pb")));
    let all = std::iter::once(path.to_owned()).chain(further.take_while(|path| path.exists()));
    let parse = |path| Definition::parse(std::fs::read(path).expect("it is in testdata"));
    all.map(|path| parse(path).expect("an engine made it").built_for(platforms.next())).collect()
}

/// The Dockerfile of a definition.
pub(crate) fn dockerfile(path: &Path) -> PathBuf {
    let mut parts: Vec<_> = path.components().rev().take(2).collect();
    parts.reverse();
    let name: PathBuf = parts.into_iter().collect();
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/dockerfiles")
        .join(name)
        .with_extension("Dockerfile")
}

/// The platforms that its first line names, in the order of their names.
pub(crate) fn platforms(path: &Path) -> Vec<String> {
    let source = std::fs::read_to_string(dockerfile(path)).unwrap_or_default();
    let line = source.lines().next().and_then(|line| line.strip_prefix("# platforms: "));
    let mut platforms: Vec<_> =
        line.into_iter().flat_map(|line| line.split(',')).map(str::to_owned).collect();
    platforms.sort();
    platforms
}

/// Whether it is another platform's, beside its build's first one.
pub(crate) fn is_further(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains('.'))
}
