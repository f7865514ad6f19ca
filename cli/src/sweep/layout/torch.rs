//! `torch.hub`: checkpoints, each with all of its parts, and repositories of code, each as a whole.
//!
//! A checkpoint in parts has files `NAME-00001-of-00003.EXT` and `NAME.EXT.index.json`. A download is `NAME.RANDOM.partial` until it is
//! complete, which is a unit of its own. `trusted_list` stays: it is a decision, no cache.

use std::collections::BTreeMap;

use super::super::tree::Id;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let mut parts: Vec<Parts> = Vec::new();
    for directory in index.directories(Id::ROOT) {
        if index.name(directory) == b"checkpoints" {
            parts.extend(checkpoints(index, directory));
        } else {
            parts.push(index.whole(directory));
        }
    }
    let files = index.files(Id::ROOT).filter(|&id| index.name(id) != b"trusted_list");
    parts.extend(files.map(Index::single));
    parts
}

fn checkpoints(index: &Index<'_>, directory: Id) -> Vec<Parts> {
    let mut by_name: BTreeMap<Vec<u8>, Vec<Id>> = BTreeMap::new();
    for id in index.below(directory).into_iter().filter(|&id| !index.tree.entry(id).is_directory()) {
        let mut path = index.tree.path(id);
        let start = path.len() - index.name(id).len();
        path.truncate(start);
        path.extend(without_part(index.name(id)));
        by_name.entry(path).or_default().push(id);
    }
    by_name.into_values().map(|entries| Parts { entries, ..Parts::default() }).collect()
}

/// The name of a checkpoint without the number of a part.
fn without_part(name: &[u8]) -> Vec<u8> {
    let name = name.strip_suffix(b".index.json").unwrap_or(name);
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let Some(of) = name.windows(4).position(|window| window == b"-of-") else { return name.to_vec() };
    let (before, after) = (&name[..of], &name[of + 4..]);
    let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match before.iter().rposition(|&byte| byte == b'-') {
        Some(dash) if is_number(&before[dash + 1..]) && digits > 0 => {
            [&before[..dash], &after[digits..]].concat()
        }
        _ => name.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::sample::Sample;

    #[test]
    fn a_checkpoint_goes_with_its_parts_and_code_as_a_whole() {
        let sample = Sample::new(&[
            "checkpoints/resnet50-11ad3fa6.pth",
            "checkpoints/big-00001-of-00002.safetensors",
            "checkpoints/big-00002-of-00002.safetensors",
            "checkpoints/big.safetensors.index.json",
            "checkpoints/resnet50-11ad3fa6.pth.0a1b.partial",
            "checkpoints/state-of-art.pth",
            "pytorch_vision_main/hubconf.py",
            "pytorch_vision_main/a/b.py",
            "trusted_list",
        ]);
        insta::assert_snapshot!(sample.units(Layout::Torch), @r"
        checkpoints/big-00001-of-00002.safetensors + checkpoints/big-00002-of-00002.safetensors + checkpoints/big.safetensors.index.json
        checkpoints/resnet50-11ad3fa6.pth
        checkpoints/resnet50-11ad3fa6.pth.0a1b.partial
        checkpoints/state-of-art.pth
        pytorch_vision_main (whole) + pytorch_vision_main/a + pytorch_vision_main/a/b.py + pytorch_vision_main/hubconf.py
        no unit: trusted_list
        ");
    }
}
