//! The page of the options.

use std::fmt::Write as _;

use crate::options::{OPTIONS, Values, What};

const INTRODUCTION: &str = "\
# Options

What can be asked of the frontend, and where. The narrowest place wins: a comment over a build argument over the syntax line over
the default.

    # syntax=localhost/ci-build/frontend:0.1.0 policy=order scope=host

    docker build --build-arg CI_BUILD_POLICY=lock .

    # ci-build: id=/root/.m2 policy=namespace
    RUN --mount=type=cache,target=/root/.m2 mvn package

A comment stands above a RUN that mounts the cache and holds for the cache wherever the build uses it; without `id=` it is about
all caches of that RUN. Words, values and policies that do not exist end the build, with what exists. `CI_BUILD_` arguments that
are not listed here are the Dockerfile's own, unless one is a slip of the pen away from one that is: then it is an error. What each
policy costs, and how `auto` chooses: [strategies.md](strategies.md).

";

const CHECK: &str = "\
## Leaving a hazard alone

`# check=skip=SharedCacheRace` (at the top of the file, above a FROM or above an instruction, or the build argument
`BUILDKIT_DOCKERFILE_CHECK`) leaves a hazard as it is and says nothing of it. With `# check=error=true` findings of ours are an
error of `docker build --check`, as upstream's are.

Comments are read from the text that the build carries. If it has syntax that ci-build does not know, the build goes on, no
comment is followed, and a warning says so.

## `--check`

`docker build --check` lists our warnings and errors behind upstream's, in the list, the document and the exit code. Notes are
left out: any line there makes the exit code 1. A build that cannot be lowered, for want of a base image say, is judged by its
text. Engines that know no `--check` (before Docker 27) refuse it as they do without us.

## `--no-cache`

Upstream empties the caches of the steps that run anew, and makes caches of other builds look empty that use them with
`sharing=shared` at that time. With `CI_BUILD_NO_CACHE=keep` such a step runs anew because its cache key holds a nonce: the name of
an optional secret that nobody provides, which the engine leaves out before the step starts. The process sees nothing of it.

| | `upstream` | `keep` |
|---|---|---|
| the step runs anew | yes | yes |
| its cache mounts are | emptied | kept |
| a neighbour's shared cache may look empty | yes | no |
| a later build finds the new result | yes | no: it finds the one from before |
| steps without cache mounts | as upstream | as upstream, but for those that follow such a step: later builds do not find them either |
| provenance (`mode=max`) | as upstream | names the secret |

## `upstream=`

`upstream=docker/dockerfile:1` has that image lower the Dockerfile, for newer syntax than the engine's own frontend knows. It is
started as if it stood on the syntax line alone.
";

/// All options, in Markdown.
#[must_use]
pub fn options() -> String {
    let mut page = String::from(INTRODUCTION);
    // Writing to a string does not fail.
    for what in &OPTIONS {
        let _ = write!(page, "## {}\n\n{}\n\n", what.name, what.summary);
        let _ = write!(page, "{}. Default: {}.\n\n", places(what), default(what));
        if let Values::OneOf(values) = what.values {
            page.push_str("| value | |\n|---|---|\n");
            for value in values {
                let _ = writeln!(page, "| `{}` | {} |", value.name, value.summary);
            }
            page.push('\n');
        }
    }
    page.push_str(CHECK);
    page
}

fn places(what: &What) -> String {
    let value = if let Values::Image = what.values { "IMAGE" } else { "NAME" };
    let word = what.on_syntax_line.then(|| format!("`{}={value}` on the syntax line", what.name));
    let argument = what.argument.map(|argument| format!("the build argument `{argument}`"));
    let comment = what.in_comments.then(|| format!("`{}={value}` in a comment", what.name));
    let places: Vec<_> = [word, argument, comment].into_iter().flatten().collect();
    let mut places = places.join(", ");
    if let Some(first) = places.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    places
}

fn default(what: &What) -> String {
    match what.values {
        Values::OneOf(_) => format!("`{}`", what.default),
        Values::Image | Values::Durations => what.default.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == super::options(), "`cargo xtask docs` writes docs/options.md anew");
    }
}
