//! A control beside each thing that is compared: a planted difference is seen, under the name that it should have.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::slice::from_ref;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::compare::compare;
use super::facts::Facts;
use super::image::{self, Archive, Layers};
use super::{progress, tree};

/// The facts that differ, by name. Two builds of upstream are alike.
fn seen(upstream: &Facts, ours: &Facts) -> Vec<String> {
    assert_eq!(
        compare(upstream, from_ref(upstream), upstream).differences,
        [],
        "the same is not equal to itself"
    );
    let differences = compare(upstream, from_ref(upstream), ours).differences;
    differences.into_iter().map(|difference| difference.fact).collect()
}

/// A file of a layer.
#[derive(Clone)]
struct File {
    path: &'static str,
    content: &'static str,
    mode: u32,
    owner: (u64, u64),
    time: u64,
    attribute: Option<&'static str>,
    link: Option<&'static str>,
}

const FILE: File = File {
    path: "a",
    content: "text",
    mode: 0o644,
    owner: (0, 0),
    time: 7,
    attribute: Some("yes"),
    link: None,
};

fn layer(files: &[File]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        if let Some(value) = file.attribute {
            tar.append_pax_extensions([("SCHILY.xattr.user.note", value.as_bytes())]).unwrap();
        }
        let mut header = Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(file.owner.0);
        header.set_gid(file.owner.1);
        header.set_mtime(file.time);
        header.set_size(0);
        if let Some(to) = file.link {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, file.path, to).unwrap();
        } else {
            header.set_size(file.content.len() as u64);
            tar.append_data(&mut header, file.path, file.content.as_bytes()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

/// The facts of an image of one layer, as `docker save` of a graph driver writes it.
fn image(files: &[File], config: &Value) -> Facts {
    let layer = layer(files);
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&layer));
    let mut config = config.clone();
    config["rootfs"] = json!({"type": "layers", "diff_ids": [format!("sha256:{digest}")]});
    let manifest = json!([{"Config": "config.json", "Layers": ["layer.tar"]}]);
    let archive = Archive::from([
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
        ("config.json".to_owned(), config.to_string().into_bytes()),
        ("layer.tar".to_owned(), layer),
    ]);
    image::facts(&archive, &mut Layers::default()).unwrap()
}

fn config() -> Value {
    json!({"os": "linux", "architecture": "amd64", "config": {"Env": ["A=b"], "Labels": {"l": "v"}}, "history": [{"created_by": "RUN a"}]})
}

#[test]
fn in_layers() {
    let upstream = image(&[FILE], &config());
    for (changed, fact) in [
        (File { content: "other", ..FILE }, "a.content"),
        (File { mode: 0o4755, ..FILE }, "a.mode"),
        (File { owner: (0, 7), ..FILE }, "a.owner"),
        (File { time: 8, ..FILE }, "a.time"),
        (File { attribute: Some("no"), ..FILE }, "a.attribute[user.note]"),
        (File { attribute: None, ..FILE }, "a.attribute[user.note]"),
        (File { link: Some("b"), ..FILE }, "a.target"),
        (File { path: "b", ..FILE }, "b.content"),
    ] {
        let seen = seen(&upstream, &image(&[changed], &config()));
        assert!(seen.contains(&format!("image[linux/amd64].layer[0].{fact}")), "{fact}: {seen:?}");
        assert!(seen.iter().any(|fact| fact.contains("layer-digest")), "{fact}: {seen:?}");
    }
    let more = seen(&upstream, &image(&[FILE, File { path: "b", ..FILE }], &config()));
    assert!(more.contains(&"image[linux/amd64].layer[0].b.kind".to_owned()), "{more:?}");
}

#[test]
fn in_the_configuration() {
    let upstream = image(&[FILE], &config());
    for (pointer, value, fact) in [
        ("/config/Env/0", json!("A=c"), "config.config.Env[0]"),
        ("/config/Labels/l", json!("w"), "config.config.Labels.l"),
        ("/history/0/created_by", json!("RUN b"), "config.history[0].created_by"),
        ("/config/Labels", json!({}), "config.config.Labels.l"),
    ] {
        let mut changed = config();
        *changed.pointer_mut(pointer).unwrap() = value;
        let seen = seen(&upstream, &image(&[FILE], &changed));
        assert!(seen.contains(&format!("image[linux/amd64].{fact}")), "{pointer}: {seen:?}");
    }
}

#[test]
fn in_attestations_and_annotations() {
    let index = |predicate: &str, annotation: &str| {
        let mut archive = Archive::new();
        let mut blob = |content: &Value| {
            let content = content.to_string().into_bytes();
            let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&content));
            archive.insert(format!("blobs/sha256/{digest}"), content);
            format!("sha256:{digest}")
        };
        let config = blob(&json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}}));
        let image =
            blob(&json!({"config": {"digest": config}, "layers": [], "annotations": {"a": annotation}}));
        let statement = blob(&json!({"subject": [], "predicate": {"builder": predicate}}));
        let of = json!({"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"});
        let attestation = blob(
            &json!({"config": {"digest": config}, "layers": [{"digest": statement, "annotations": of}]}),
        );
        let kind = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let index = json!({"manifests": [{"digest": image}, {"digest": attestation, "annotations": kind}]});
        archive.insert("index.json".to_owned(), index.to_string().into_bytes());
        image::facts(&archive, &mut Layers::default()).unwrap()
    };
    let upstream = index("theirs", "one");
    assert_eq!(
        seen(&upstream, &index("ours", "one")),
        ["attestation[https://slsa.dev/provenance/v0.2].predicate.builder"]
    );
    assert_eq!(seen(&upstream, &index("theirs", "two")), ["image[linux/amd64].annotations.a"]);
}

#[test]
fn in_metadata_with_provenance() {
    let metadata = |document: Value| {
        let mut facts = Facts::default();
        facts.json("metadata", &document);
        facts
    };
    let upstream = metadata(
        json!({"containerimage.digest": "sha256:1", "buildx.build.provenance": {"invocation": {"parameters": {"inputs": {"base": "x"}}}}}),
    );
    let ours = metadata(
        json!({"containerimage.digest": "sha256:1", "buildx.build.provenance": {"invocation": {"parameters": {}}}}),
    );
    let name = "metadata.buildx.build.provenance.invocation.parameters";
    assert_eq!(seen(&upstream, &ours), [format!("{name}.inputs.base"), name.to_owned()]);
    assert_eq!(seen(&ours, &metadata(json!({"other": 1}))).len(), 3);
}

#[test]
fn in_how_it_ended_and_what_it_said() {
    let ended = |exit: &str| {
        let mut facts = Facts::default();
        facts.put("exit", exit);
        facts
    };
    assert_eq!(seen(&ended("1"), &ended("0")), ["exit"]);
    let said = |line: u32| {
        progress::facts(&format!("Dockerfile:{line}\n---\nERROR: failed to build: failed to solve: x\n"))
    };
    assert_eq!(seen(&said(2), &said(3)), ["said"]);
}

#[test]
fn in_steps() {
    let steps = |digest: &str, cached: bool, more: &str| {
        let step = json!({"digest": digest, "name": "[1/1] RUN a", "cached": cached, "completed": "t"});
        let log = json!({"vertex": digest, "stream": 1, "data": "aGk="});
        let warning = json!({"level": 1, "short": "d2Fy", "range": [{"start": {"line": 2}}]});
        let mut status = json!({"vertexes": [step], "logs": [log], "warnings": [warning]});
        if !more.is_empty() {
            let more = json!({"digest": "sha256:9", "name": more, "completed": "t"});
            status["vertexes"].as_array_mut().unwrap().push(more);
        }
        progress::facts(&status.to_string())
    };
    let upstream = steps("sha256:1", false, "");
    assert_eq!(seen(&upstream, &steps("sha256:2", false, "")), ["digest[[1/1] RUN a]"]);
    assert_eq!(seen(&upstream, &steps("sha256:1", true, "")), ["cached", "executed", "step[[1/1] RUN a]"]);
    let more = seen(&upstream, &steps("sha256:1", false, "[2/2] RUN b"));
    assert_eq!(more, ["executed", "digest[[2/2] RUN b]", "step[[2/2] RUN b]"]);
    let silent =
        progress::facts(r#"{"vertexes":[{"digest":"sha256:1","name":"[1/1] RUN a","completed":"t"}]}"#);
    assert_eq!(seen(&upstream, &silent), ["log[[1/1] RUN a]", "warning[war]"]);
}

#[test]
fn in_a_directory() {
    let made = |content: &str, mode: u32, link: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        symlink(link, dir.path().join("l")).unwrap();
        // The times are those of just now.
        tree::of_directory(dir.path()).unwrap().without(|fact| fact.ends_with(".time"))
    };
    let upstream = made("a", 0o644, "a");
    assert_eq!(seen(&upstream, &made("b", 0o644, "a")), ["a.content"]);
    assert_eq!(seen(&upstream, &made("a", 0o600, "a")), ["a.mode"]);
    assert_eq!(seen(&upstream, &made("a", 0o644, "b")), ["l.target"]);
}
