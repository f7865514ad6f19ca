//! The image of a binary, as bytes.

use std::collections::BTreeMap;
use std::io::Read as _;

use ci_build::image::{Blob, Digest, Image, ImageName};
use flate2::read::GzDecoder;
use proptest::prelude::*;

use crate::elf::{self, AMD64, Elf};

fn image(elf: Elf) -> Result<Image, String> {
    Image::of_binary(&elf.bytes()).map_err(|error| error.to_string())
}

fn name() -> ImageName {
    "ci-build/frontend:1.2.3".parse().unwrap()
}

/// The files of a tar archive, each with what `tar -tv` shows of it.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let path = entry.path().unwrap().display().to_string();
        let shown = format!("{mode:04o} {uid}/{gid} {} {path}", header.mtime().unwrap());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (shown, content)
    });
    entries.collect()
}

fn unpacked(layer: &Blob) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(layer.bytes.as_slice()).read_to_end(&mut tar).unwrap();
    tar
}

fn pretty(json: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(json).unwrap();
    serde_json::to_string_pretty(&document).unwrap()
}

#[test]
fn the_config_says_what_the_frontend_is_and_does() {
    insta::assert_snapshot!(pretty(&image(AMD64).unwrap().config.bytes));
}

#[test]
fn the_manifest_has_one_layer() {
    insta::assert_snapshot!(pretty(&image(AMD64).unwrap().manifest.bytes));
}

#[test]
fn the_layer_holds_the_binary_alone() {
    let binary = AMD64.bytes();
    let layer = Image::of_binary(&binary).unwrap().layer;
    let [(shown, content)] = files(&unpacked(&layer)).try_into().unwrap();
    assert_eq!(shown, "0755 0/0 0 ci-build-frontend");
    assert_eq!(content, binary);
    // A gzip header without name, time or system.
    assert_eq!(layer.bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn the_archive_is_a_layout_and_what_docker_load_reads() {
    let files = files(&image(AMD64).unwrap().archive(&name()));
    let listing: Vec<_> = files.iter().map(|(shown, _)| shown.as_str()).collect();
    let documents = files.iter().filter(|(shown, _)| !shown.contains("blobs/"));
    let documents: Vec<_> = documents.map(|(shown, json)| format!("{shown}\n{}", pretty(json))).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", listing.join("\n"), documents.join("\n\n")));
}

/// The digest is what a build pins: when it changes for the same binary, it does so on purpose, not by an
/// update.
#[test]
fn the_same_binary_has_the_same_digest_in_every_version() {
    insta::assert_snapshot!(
        image(AMD64).unwrap().digest(),
        @"sha256:417b8f095e447a094ab26113e2489ddff9cea886dd6caf7951bcc935c0a10c9c"
    );
}

#[test]
fn an_engine_may_call_the_image_by_its_config_or_its_manifest() {
    let image = image(AMD64).unwrap();
    assert!(image.has_id(image.config.digest.as_str()));
    assert!(image.has_id(image.manifest.digest.as_str()));
    assert!(!image.has_id(image.layer.digest.as_str()));
    assert!(!image.has_id(""));
}

#[test]
fn the_architecture_is_the_binarys() {
    let narrow = Elf { machine: elf::EM_386, wide: false, ..AMD64 };
    for (elf, architecture) in [
        (AMD64, "amd64"),
        (Elf { kind: elf::ET_DYN, ..AMD64 }, "amd64"), // static, position-independent
        (Elf { machine: elf::EM_AARCH64, ..AMD64 }, "arm64"),
        (narrow, "386"),
        (Elf { machine: elf::EM_PPC64, ..AMD64 }, "ppc64le"),
        (Elf { machine: elf::EM_RISCV, ..AMD64 }, "riscv64"),
        (Elf { machine: elf::EM_S390, big_endian: true, ..AMD64 }, "s390x"),
    ] {
        let image = image(elf).unwrap();
        assert_eq!(image.architecture.as_str(), architecture);
        assert!(pretty(&image.config.bytes).contains(&format!("\"architecture\": \"{architecture}\"")));
    }
}

#[test]
fn what_cannot_run_alone_is_refused() {
    let dynamic = &[elf::PT_LOAD, elf::PT_INTERP];
    let refused = [
        Elf { segments: dynamic, ..AMD64 },
        Elf { segments: dynamic, kind: elf::ET_DYN, ..AMD64 },
        Elf { entry: 0, kind: elf::ET_DYN, ..AMD64 },
        Elf { kind: elf::ET_REL, ..AMD64 },
        Elf { machine: elf::EM_ARM, wide: false, ..AMD64 },
        Elf { machine: elf::EM_PPC64, big_endian: true, ..AMD64 },
        Elf { machine: elf::EM_X86_64, wide: false, ..AMD64 }, // the x32 interface
    ];
    let messages = refused.map(|elf| image(elf).unwrap_err());
    insta::assert_snapshot!(messages.join("\n"), @"
    it is linked dynamically
    it is linked dynamically
    it is an ELF file, but not an executable
    it is an ELF file, but not an executable
    its machine (ELF number 40, 32 bits, little endian) is not one of amd64, arm64, 386, ppc64le, riscv64, s390x
    its machine (ELF number 21, 64 bits, big endian) is not one of amd64, arm64, 386, ppc64le, riscv64, s390x
    its machine (ELF number 62, 32 bits, little endian) is not one of amd64, arm64, 386, ppc64le, riscv64, s390x
    ");
    let scripts: [&[u8]; 4] = [b"", b"\x7fELF", b"#!/bin/sh\n", &AMD64.bytes()[..70]];
    for bytes in scripts {
        assert_eq!(Image::of_binary(bytes).unwrap_err().to_string(), "it is not an ELF binary");
    }
}

proptest! {
    /// Every descriptor of the archive leads to a blob that is what it says.
    #[test]
    fn an_archive_is_whole(code in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let binary = [AMD64.bytes(), code].concat();
        let image = Image::of_binary(&binary).unwrap();
        let archive = image.archive(&name());
        prop_assert_eq!(&archive, &Image::of_binary(&binary).unwrap().archive(&name()));

        let files: BTreeMap<_, _> = files(&archive)
            .into_iter()
            .map(|(shown, content)| (shown.rsplit(' ').next().unwrap().to_owned(), content))
            .collect();
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        let blob = |descriptor: &serde_json::Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let content = files[&format!("blobs/sha256/{}", &digest["sha256:".len()..])].clone();
            assert_eq!(Digest::of(&content).as_str(), digest);
            assert_eq!(descriptor["size"], content.len());
            content
        };
        let manifest = json(&blob(&json(&files["index.json"])["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        blob(&manifest["layers"][0]);
        let tar = unpacked(&image.layer);
        let diff_id = Digest::of(&tar);
        prop_assert_eq!(&config["rootfs"]["diff_ids"][0], diff_id.as_str());
        prop_assert_eq!(&self::files(&tar)[0].1, &binary);
        let docker = json(&files["manifest.json"]);
        prop_assert!(files.contains_key(docker[0]["Config"].as_str().unwrap()));
        prop_assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    }

    /// No header makes us panic, however broken.
    #[test]
    fn a_broken_header_is_an_error_or_none(
        at in 0..120_usize,
        with in proptest::collection::vec(any::<u8>(), 1..16),
        length in 0..=120_usize,
        kind in prop_oneof![Just(elf::PT_INTERP), Just(2)],
    ) {
        let segments: &[u32] = if kind == 2 { &[2] } else { elf::STATIC };
        let mut bytes = Elf { segments: Vec::leak(segments.to_vec()), ..AMD64 }.bytes();
        let end = (at + with.len()).min(bytes.len());
        bytes[at.min(end)..end].copy_from_slice(&with[..end - at.min(end)]);
        bytes.truncate(length);
        let _ = Image::of_binary(&bytes);
    }
}
