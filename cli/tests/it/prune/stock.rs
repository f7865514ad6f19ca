//! A fake engine with images and containers, which change while it is asked as a test says.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::engine::{FakeEngine, message};

/// What the engine has.
#[derive(Default)]
pub(super) struct Stock {
    /// By their ids.
    pub(super) images: BTreeMap<String, Image>,
    /// By their ids.
    pub(super) containers: BTreeMap<String, Container>,
    /// As the engine lists them, whatever is asked for.
    pub(super) networks: Vec<Value>,
    /// The ids of build cache, old and in use by nobody.
    pub(super) cache: Vec<String>,
    /// What happened, as the engine tells of it.
    pub(super) events: String,
    /// Its version and that of its interface; none for those of 28.5.
    pub(super) version: Option<(&'static str, &'static str)>,
    /// By how much its clock is ahead.
    pub(super) ahead: SignedDuration,
    /// What it was asked: a method, a path and a query each.
    pub(super) asked: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Image {
    pub(super) names: Vec<String>,
    pub(super) created: Timestamp,
    /// When it got its last name.
    pub(super) tagged: Option<Timestamp>,
}

#[derive(Clone)]
pub(super) struct Container {
    /// Its image's number.
    pub(super) image: usize,
    pub(super) created: Timestamp,
    /// When it ended; none while it runs.
    pub(super) ended: Option<Timestamp>,
    pub(super) is_ours: bool,
}

/// The id of the image of this number.
pub(super) fn image_id(number: usize) -> String {
    format!("sha256:{number:064x}")
}

pub(super) fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

impl Stock {
    /// So many images, `app:0` and so on, each made an hour after the one before it, the last one so many hours ago.
    pub(super) fn made(images: usize, hours: i64) -> Self {
        let image = |number: usize| Image {
            names: vec![format!("app:{number}")],
            created: hours_ago(hours + images as i64 - 1 - number as i64),
            tagged: None,
        };
        Self {
            images: (0..images).map(|number| (image_id(number), image(number))).collect(),
            ..Self::default()
        }
    }

    /// An engine that has this. `meanwhile` happens before it answers, with the method and the path of the question.
    pub(super) fn start(
        self,
        mut meanwhile: impl FnMut(&mut Self, &str, &str) + Send + 'static,
    ) -> (FakeEngine, Arc<Mutex<Self>>) {
        let stock = Arc::new(Mutex::new(self));
        let of_engine = Arc::clone(&stock);
        let meanwhile =
            Mutex::new(move |stock: &mut Self, method: &str, path: &str| meanwhile(stock, method, path));
        let engine = FakeEngine::start(move |method, path, query| {
            let mut stock = of_engine.lock().unwrap();
            stock.asked.push(format!("{method} {path}?{query}"));
            meanwhile.lock().unwrap()(&mut stock, method, path);
            stock.answer(method, path)
        });
        (engine, stock)
    }

    fn answer(&mut self, method: &str, path: &str) -> Option<(u16, String)> {
        let (version, api) = self.version.unwrap_or(("28.5.0", "1.51"));
        match (method, path) {
            ("GET", "/version") => Some((200, json!({ "Version": version, "ApiVersion": api }).to_string())),
            ("GET", "/info") => {
                let time = Timestamp::now() + self.ahead;
                Some((200, json!({ "ID": "E", "ServerVersion": version, "SystemTime": time }).to_string()))
            }
            ("GET", "/networks") => Some((200, json!(self.networks).to_string())),
            ("GET", "/system/df") => {
                let record = |id: &String| json!({ "ID": id, "Size": 1, "LastUsedAt": hours_ago(1000) });
                let records: Vec<Value> = self.cache.iter().map(record).collect();
                Some((200, json!({ "BuildCache": records }).to_string()))
            }
            ("POST", "/build/prune") => Some((200, json!({ "CachesDeleted": ["one"] }).to_string())),
            ("GET", "/images/json") => {
                let images: Vec<Value> = self.images.iter().map(|(id, image)| image.listed(id)).collect();
                Some((200, json!(images).to_string()))
            }
            ("GET", "/containers/json") => {
                let containers = self.containers.iter().map(|(id, container)| container.listed(id));
                Some((200, json!(containers.collect::<Vec<_>>()).to_string()))
            }
            ("GET", "/volumes") => Some((200, json!({ "Volumes": [] }).to_string())),
            ("GET", "/events") => Some((200, self.events.clone())),
            ("GET", _) if path.starts_with("/containers/") => {
                let id = path.strip_prefix("/containers/")?.strip_suffix("/json")?;
                Some((200, self.containers.get(id)?.inspected(id)))
            }
            ("GET", _) => {
                let id = path.strip_prefix("/images/")?.strip_suffix("/json")?;
                Some((200, self.images.get(id)?.inspected(id)))
            }
            ("DELETE", _) if path.starts_with("/containers/") => {
                self.containers.remove(path.strip_prefix("/containers/")?);
                Some((204, String::new()))
            }
            ("DELETE", _) => {
                let id = path.strip_prefix("/images/")?;
                if self.containers.values().any(|container| image_id(container.image) == id) {
                    return Some((409, message("conflict: a container uses it")));
                }
                let gone = self.images.remove(id);
                Some(gone.map_or((404, message("no such image")), |_| (200, "[]".into())))
            }
            _ => None,
        }
    }

    /// The numbers of the images that are left.
    pub(super) fn left(&self) -> Vec<usize> {
        self.images.keys().map(|id| usize::from_str_radix(&id["sha256:".len()..], 16).unwrap()).collect()
    }
}

impl Image {
    fn listed(&self, id: &str) -> Value {
        json!({
            "Id": id, "ParentId": "", "RepoTags": self.names, "RepoDigests": [], "Created": self.created.as_second(),
            "Size": 1, "SharedSize": -1, "Labels": {}, "Containers": -1,
        })
    }

    fn inspected(&self, id: &str) -> String {
        let metadata = json!({ "LastTagTime": self.tagged });
        json!({ "Id": id, "RepoTags": self.names, "Created": self.created, "Metadata": metadata }).to_string()
    }
}

impl Container {
    fn state(&self) -> &'static str {
        if self.ended.is_some() { "exited" } else { "running" }
    }

    fn listed(&self, id: &str) -> Value {
        let labels =
            if self.is_ours { json!({ "ci-build.owner": "nobody", "ci-build.run": id }) } else { json!({}) };
        json!({
            "Id": id, "Names": [format!("/{id}")], "Image": format!("app:{}", self.image), "ImageID": image_id(self.image),
            "State": self.state(), "Created": self.created.as_second(), "Labels": labels,
        })
    }

    fn inspected(&self, id: &str) -> String {
        let state = json!({ "Status": self.state(), "FinishedAt": self.ended });
        json!({ "Id": id, "Image": image_id(self.image), "State": state }).to_string()
    }
}

/// What a prune reports.
pub(super) fn report(prune: &mut Command) -> Value {
    let output = prune.args(["--format", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// How many things there are of each action and cause.
pub(super) fn counts(report: &Value) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for thing in report["things"].as_array().unwrap() {
        let word = |key: &str| thing[key].as_str().unwrap();
        *counts.entry((word("action"), word("cause"))).or_default() += 1;
    }
    counts
}
