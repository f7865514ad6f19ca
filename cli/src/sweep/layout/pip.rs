//! pip: an answer of an index has its head in one file and its body in another, `HASH` and `HASH.body`; a wheel that was built lies in a
//! directory with a note where it is from.

use std::collections::BTreeMap;

use super::super::tree::Id;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let mut parts = Vec::new();
    for directory in index.directories(Id::ROOT) {
        match index.name(directory) {
            b"http" | b"http-v2" => parts.extend(answers(index, directory)),
            b"wheels" => parts.extend(wheels(index, directory)),
            b"selfcheck" => parts.extend(index.singles(directory)),
            _ => {}
        }
    }
    parts
}

/// The head goes first: without it nobody looks for the body.
fn answers(index: &Index<'_>, directory: Id) -> Vec<Parts> {
    let mut answers: BTreeMap<(Id, &[u8]), Vec<Id>> = BTreeMap::new();
    for id in index.below(directory).into_iter().filter(|&id| !index.tree.entry(id).is_directory()) {
        let name = index.name(id);
        let head = name.strip_suffix(b".body").unwrap_or(name);
        answers.entry((index.tree.entry(id).parent(), head)).or_default().push(id);
    }
    let mut answers: Vec<_> = answers.into_values().collect();
    answers.iter_mut().for_each(|ids| ids.sort_unstable_by_key(|&id| index.name(id).len()));
    answers.into_iter().map(|entries| Parts { entries, ..Parts::default() }).collect()
}

fn wheels(index: &Index<'_>, directory: Id) -> Vec<Parts> {
    let all = std::iter::once(directory).chain(index.directories_below(directory));
    let with_files = all.map(|id| index.files(id).collect::<Vec<_>>()).filter(|files| !files.is_empty());
    with_files.map(|entries| Parts { entries, ..Parts::default() }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn a_head_goes_with_its_body_and_a_wheel_with_its_origin() {
        let sample = Sample::new(&[
            "http-v2/a/b/c/abc1",
            "http-v2/a/b/c/abc1.body",
            "http-v2/a/b/c/abc2",
            "wheels/1/2/x-1.whl",
            "wheels/1/2/origin.json",
            "selfcheck/abc",
            "other/file",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Pip), @r"
        http-v2/a/b/c/abc1 + http-v2/a/b/c/abc1.body
        http-v2/a/b/c/abc2
        selfcheck/abc
        wheels/1/2/origin.json + wheels/1/2/x-1.whl
        no unit: other/file
        ");
    }
}
