//! What the Dockerfile's text says beside its instructions.

use std::borrow::Cow;

use super::captured;
use super::engine::{Asked, Engine, single};
use crate::llb::wire::{self, WireError, encode_bytes, encode_varint};
use crate::llb::{self, Definition};

/// Two stages whose steps, in the lines 3 and 5, share a cache.
const RACE: &str = "docker-28.5/SharedCacheRace/two-stages";

/// The same definition with another text.
pub(super) fn with_text(definition: &[u8], text: &str) -> Vec<u8> {
    let definition = wire::map_bytes(definition, 3, |source| {
        wire::map_bytes(source, 2, |info| wire::set_bytes(info, 2, text.as_bytes()))
    });
    definition.map(Cow::into_owned).map_err(|error: WireError| error).expect("what an engine gave")
}

/// The build of the two steps, with this above them.
async fn build(first: &str, second: &str, options: &[(&str, &str)]) -> Asked {
    let text = format!("FROM a\n{first}\nRUN a\n{second}\nRUN b\n");
    Engine::new(Ok(single(&with_text(&captured(RACE), &text)))).build(options).await
}

/// The same definition, in which what stands in line 3 stands in another text of the same name: as where a build starts
/// from what another target of a bake file makes.
fn with_base(definition: &[u8], base: &str) -> Vec<u8> {
    let name = b"two-stages.Dockerfile";
    let info = [encode_bytes(1, name), encode_bytes(2, base.as_bytes())].concat();
    let is_third = |locations: &[u8]| -> Result<bool, WireError> {
        let location = wire::get_bytes(locations, 1)?.unwrap_or_default();
        let range = wire::get_bytes(location, 2)?.unwrap_or_default();
        Ok(wire::get_bytes(range, 1)? == Some(&encode_varint(1, 3)))
    };
    let definition = wire::map_bytes(definition, 3, |source| {
        let moved = wire::map_bytes(source, 1, |entry| {
            wire::map_bytes(entry, 2, |locations| match is_third(locations)? {
                true => wire::map_bytes(locations, 1, |location| wire::set_varint(location, 1, 1)),
                false => Ok(Cow::Borrowed(locations)),
            })
        })?;
        Ok(Cow::Owned(wire::append(&moved, 2, &encode_bytes(2, &info))?))
    });
    definition.map(Cow::into_owned).map_err(|error: WireError| error).expect("what an engine gave")
}

#[tokio::test]
async fn each_text_speaks_of_its_own_steps() {
    let build = async |own: &str, base: &str| {
        let definition = with_base(&with_text(&captured(RACE), own), base);
        Engine::new(Ok(single(&definition))).build(&[]).await
    };
    let plain = "FROM x\n\nRUN a\n\nRUN b\n";
    let above = |line: usize| {
        let mut lines: Vec<_> = plain.lines().collect();
        lines[line - 2] = "# check=skip=all";
        lines.join("\n")
    };
    // The finding is placed in line 3 of the other text.
    let told = async |own: &str, base: &str| build(own, base).await.warnings.len();
    assert_eq!(told(&above(3), &format!("{plain}#")).await, 1);
    assert_eq!(told(plain, &above(3)).await, 0);
    assert_eq!(told(plain, &above(5)).await, 1);
    assert_eq!(told(&format!("# check=skip=all\n{plain}"), plain).await, 0);
    let shown = build(plain, &format!("{plain}#")).await;
    insta::assert_snapshot!(shown.warnings[0].short, @"SharedCacheRace: 2 concurrent steps use the cache /cache at once with sharing=shared: two-stages.Dockerfile:5 (stage b), two-stages.Dockerfile (2):3 (stage a); ci-build has them lock /cache, and each may wait for the others (line 3)");
}

fn sharing(asked: &Asked) -> Vec<String> {
    let definition = Definition::parse(asked.definition(0).to_vec()).expect("what we wrote");
    let graph = llb::read(&[definition]).expect("a build");
    let caches = graph.steps().flat_map(|(_, step)| step.caches().map(|(_, _, cache)| cache.to_owned()));
    caches.map(|cache| format!("{} {}", cache.key, cache.sharing)).collect()
}

#[tokio::test]
async fn a_check_comment_leaves_a_hazard_alone() {
    let skipped = build("", "# check=skip=SharedCacheRace", &[]).await;
    assert_eq!(
        (sharing(&skipped), skipped.warnings.len(), skipped.named.len()),
        (vec!["/cache shared".to_owned(); 2], 0, 0)
    );
    let other = build("", "# check=skip=MixedCacheSharing", &[]).await;
    assert_eq!((sharing(&other), other.warnings.len()), (vec!["/cache locked".to_owned(); 2], 1));
    let argument = build("", "", &[("build-arg:BUILDKIT_DOCKERFILE_CHECK", "skip=all")]).await;
    assert_eq!(argument.warnings.len(), 0);
}

#[tokio::test]
async fn a_comment_that_makes_no_sense_is_an_error_with_its_line() {
    let error = async |comment: &str| build(comment, "", &[]).await.error();
    insta::assert_snapshot!(error("# ci-build: id=/cache policy=fast").await, @r#"
    two-stages.Dockerfile:2: there is no policy "fast"
      help: the policies are auto, lock, order, prime, namespace, off
    "#);
    insta::assert_snapshot!(error("# ci-build: id=/other policy=lock").await, @r#"
    two-stages.Dockerfile:2: the RUN in line 3 mounts no cache "/other"
      help: its caches are /cache; leave id= out for all of them
    "#);
    insta::assert_snapshot!(error("# ci-build: cache=/cache").await, @r#"
    two-stages.Dockerfile:2: there is no option "cache=/cache" for a ci-build comment
      help: the options are id=CACHE and policy=NAME, in one word each
    "#);
    // One of the syntax line's is none of a comment's.
    insta::assert_snapshot!(error("# ci-build: scope=host").await, @r#"
    two-stages.Dockerfile:2: there is no option "scope=host" for a ci-build comment
      help: the options are id=CACHE and policy=NAME, in one word each
    "#);
    let both = build("# ci-build: policy=lock", "# ci-build: policy=namespace", &[]).await;
    insta::assert_snapshot!(both.error(), @r"
    two-stages.Dockerfile:4: the cache /cache is to have policy=namespace here and policy=lock in line 2
      help: a policy holds for a cache wherever the build uses it: keep one of the two
    ");
}

#[tokio::test]
async fn with_policy_off_and_no_comment_of_ours_nothing_is_read() {
    let off = [("build-arg:CI_BUILD_POLICY", "off")];
    let asked = build("", "# check=skip=all", &off).await;
    assert_eq!(sharing(&asked), ["/cache shared", "/cache shared"]);
    let wrong = build("# ci-build: policy=fast", "", &off).await;
    assert!(wrong.error().starts_with("two-stages.Dockerfile:2: "), "{}", wrong.error());
}

#[tokio::test]
async fn lines_of_heredocs_and_triggers_are_no_comments() {
    let asked = build("RUN <<E\n# ci-build: policy=fast\nE", "", &[]).await;
    assert_eq!(asked.warnings.len(), 1);
    let asked = build("ONBUILD RUN echo # ci-build: policy=fast", "", &[]).await;
    assert_eq!(asked.warnings.len(), 1);
}

#[tokio::test]
async fn a_syntax_that_we_do_not_know_fails_no_build() {
    let silent = build("NEWER instruction", "", &[]).await;
    assert_eq!((silent.warnings.len(), sharing(&silent)), (1, vec!["/cache locked".to_owned(); 2]));
    for comment in ["# ci-build: policy=fast", "# check=skip=all", "  #check=skip=all"] {
        let told = build("NEWER instruction", comment, &[]).await;
        assert_eq!(sharing(&told), ["/cache locked", "/cache locked"]);
        let [unread, _] = &*told.warnings else { panic!("{:?}", told.warnings) };
        insta::allow_duplicates! {
            insta::assert_snapshot!(unread.short, @"ci-build cannot read two-stages.Dockerfile:2: unknown instruction NEWER; so it follows no comment of this file, neither `# ci-build:` nor `# check=` (line 3)");
        }
    }
}
