//! `RUN --mount=…`.

use super::part::Part;
use super::paths::clean;
use super::{case, csv, flags, values};
pub use crate::graph::MountKind;
use crate::graph::{CacheKey, CacheUse, Sharing};

/// A mount of a RUN, its words expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// bind, cache, tmpfs, secret or ssh.
    pub kind: MountKind,
    /// The stage or image that it comes from; empty for the build context.
    pub from: String,
    /// The path in there.
    pub source: String,
    /// Where it is mounted, as written.
    pub target: String,
    /// Whether the step may not write to it.
    pub readonly: bool,
    /// A cache's or a secret's id, as written; empty for the default.
    pub id: String,
    /// How a cache is shared, if it says so.
    pub sharing: Option<Sharing>,
    /// Owner and mode, if given.
    pub uid: Option<u32>,
    /// See `uid`.
    pub gid: Option<u32>,
    /// See `uid`.
    pub mode: Option<u32>,
    /// Whether the step fails without the secret or agent.
    pub required: bool,
    /// The most that a tmpfs holds, in bytes, if given.
    pub size: Option<i64>,
    /// The environment variable that a secret is put into; empty for the default.
    pub env: Option<String>,
}

impl RunMount {
    /// The cache behind it, where it is a cache mount. `from` names what it starts from, or is empty; `namespace` is
    /// that of the build.
    pub(super) fn cache(&self, from: &str, namespace: &str) -> Option<CacheUse> {
        if self.kind != MountKind::Cache {
            return None;
        }
        let id = if self.id.is_empty() { clean(&self.target) } else { self.id.clone() };
        // An owner or a mode makes the cache start from a directory that has them, unless a path within the source is
        // named (`dockerfile2llb/convert_runmount.go`, `dispatchRunMounts`).
        let names_path = clean(&format!("/{}", self.source)) != "/";
        let has_owner = self.uid.is_some() || self.gid.is_some() || self.mode.is_some();
        let owner = (has_owner && !names_path).then(|| {
            let (uid, gid) = (self.uid.unwrap_or(0), self.gid.unwrap_or(0));
            format!("uid={uid} gid={gid} mode={:o}", self.mode.unwrap_or(0o755))
        });
        let from = (!from.is_empty()).then(|| format!("from={from}"));
        let identity: Vec<_> = from.into_iter().chain(owner).collect();
        Some(CacheUse {
            key: CacheKey {
                id: format!("{namespace}/{id}"),
                identity: (!identity.is_empty()).then(|| identity.join(" ")),
            },
            sharing: self.sharing.unwrap_or(Sharing::Shared),
        })
    }
}

/// The caches that a RUN mounts, by its text as the engine calls the step: `RUN --mount=type=cache,target=/c make`, its
/// variables expanded. None where it is something else, or cannot be read.
#[must_use]
pub fn caches_of(title: &str) -> Vec<CacheUse> {
    let Some(rest) = title.strip_prefix("RUN ") else { return Vec::new() };
    let (flags, _) = flags::split(Part::new(rest.trim_start(), 0), '\\');
    let mounts = flags
        .iter()
        .filter(|flag| flag.name == "mount")
        .filter_map(|flag| parse(flag.value.as_deref()?, Some(&mut |value: &str| Ok(value.to_owned()))).ok());
    mounts.filter_map(|mount| mount.cache(&mount.from, "")).collect()
}

/// A mount that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MountError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl MountError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Puts the variables into a value.
pub type Expander<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// Reads the value of `--mount`, as the flag has it.
///
/// BuildKit reads it twice (`instructions.parseMount`). First, without an expander, it only parts the fields and takes
/// `from=`, because the stage that it names is looked for before any variable has a value; everything else is not
/// looked at and stays at its default. Then, with an expander, it reads everything.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(value: &str, expand: Option<&mut Expander<'_>>) -> Result<RunMount, MountError> {
    let fields =
        csv::fields(value).map_err(|error| MountError::new(format!("bad mount `{value}`: {error}")))?;
    let mut draft = Draft::default();
    match expand {
        None => fields.iter().try_for_each(|field| draft.read_from(field))?,
        Some(expand) => fields.iter().try_for_each(|field| draft.read(field, expand))?,
    }
    draft.finish()
}

/// A mount of which some fields have been read.
#[derive(Debug, Default)]
struct Draft {
    kind: MountKind,
    from: String,
    source: String,
    target: String,
    readonly: Option<bool>,
    id: String,
    sharing: Option<Sharing>,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
    required: bool,
    size: Option<i64>,
    env: Option<String>,
}

impl Draft {
    /// Takes `from=`, in which nothing can be expanded yet.
    fn read_from(&mut self, field: &str) -> Result<(), MountError> {
        let Some((key, value)) = field.split_once('=') else { return Ok(()) };
        if !case::lower_is(key, "from") {
            return Ok(());
        }
        if value.find('$').is_some_and(|at| at + 1 < value.len()) {
            return Err(MountError::new(format!("mount option from takes no variable: `{value}`"))
                .with_help("name a stage `FROM … AS name` with the variable in it, and mount from that"));
        }
        value.clone_into(&mut self.from);
        Ok(())
    }

    fn read(&mut self, field: &str, expand: &mut Expander<'_>) -> Result<(), MountError> {
        let Some((key, value)) = field.split_once('=') else { return self.read_word(field) };
        let key = case::lower(key);
        let value = expand(value).map_err(MountError::new)?;
        let bad = || MountError::new(format!("bad value for mount option {key}: `{value}`"));
        match &key[..] {
            "type" => {
                let kind = MountKind::ALL.into_iter().find(|kind| case::lower_is(&value, kind.name()));
                self.kind = kind.ok_or_else(|| {
                    MountError::new(format!("unknown mount type `{value}`"))
                        .with_help("types are bind, cache, tmpfs, secret and ssh")
                })?;
            }
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "readonly" | "ro" => self.readonly = Some(values::boolean(&value).ok_or_else(bad)?),
            "readwrite" | "rw" => self.readonly = Some(!values::boolean(&value).ok_or_else(bad)?),
            "required" => {
                self.only(&key, &[MountKind::Secret, MountKind::Ssh])?;
                self.required = values::boolean(&value).ok_or_else(bad)?;
            }
            "size" => {
                self.only(&key, &[MountKind::Tmpfs])?;
                self.size = Some(values::size(&value).ok_or_else(bad)?);
            }
            "id" => self.id = value,
            "sharing" => {
                let modes = [Sharing::Shared, Sharing::Private, Sharing::Locked];
                let mode = modes.into_iter().find(|mode| case::lower_is(&value, mode.name()));
                self.sharing = Some(mode.ok_or_else(|| {
                    MountError::new(format!("unknown sharing mode `{value}`"))
                        .with_help("modes are shared, private and locked")
                })?);
            }
            "mode" => self.mode = Some(values::unsigned(&value, 8).ok_or_else(bad)?),
            "uid" => self.uid = Some(values::unsigned(&value, 10).ok_or_else(bad)?),
            "gid" => self.gid = Some(values::unsigned(&value, 10).ok_or_else(bad)?),
            "env" => self.env = Some(value),
            _ => {
                return Err(MountError::new(format!("mount has no option `{key}`")).with_help(
                    "options are type, from, source, target, readonly, readwrite, id, sharing, required, size, \
                     mode, uid, gid and env",
                ));
            }
        }
        Ok(())
    }

    /// A field without a value.
    fn read_word(&mut self, field: &str) -> Result<(), MountError> {
        match &case::lower(field)[..] {
            "readonly" | "ro" => self.readonly = Some(true),
            "readwrite" | "rw" => self.readonly = Some(false),
            "required" => {
                self.only("required", &[MountKind::Secret, MountKind::Ssh])?;
                self.required = true;
            }
            _ => {
                return Err(MountError::new(format!("mount option `{field}` has no value"))
                    .with_help("options are key=value, parted by commas"));
            }
        }
        Ok(())
    }

    /// Some options need the type to stand before them.
    fn only(&self, key: &str, kinds: &[MountKind]) -> Result<(), MountError> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        Err(MountError::new(format!("mount of type {} has no option {key}", self.kind.name()))
            .with_help(format!("put type={} in front of it", names.join(" or type="))))
    }

    fn finish(self) -> Result<RunMount, MountError> {
        let kind = self.kind;
        let name = kind.name();
        if matches!(kind, MountKind::Bind | MountKind::Tmpfs) {
            let given = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return Err(MountError::new(format!("mount of type {name} has no option {key}")));
            }
        }
        if kind == MountKind::Secret {
            if !self.from.is_empty() {
                return Err(MountError::new("mount of type secret has no option from"));
            }
            if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                return Err(MountError::new("mount of type secret has neither id nor target"));
            }
            if !self.source.is_empty() && !self.id.is_empty() {
                return Err(MountError::new("mount of type secret has both id and source")
                    .with_help("they are two names of one option"));
            }
        }
        if self.sharing.is_some() && kind != MountKind::Cache {
            return Err(MountError::new(format!("mount of type {name} has no option sharing")));
        }
        Ok(RunMount {
            kind,
            from: self.from,
            source: self.source,
            target: self.target,
            readonly: self.readonly.unwrap_or(!matches!(kind, MountKind::Cache | MountKind::Tmpfs)),
            id: self.id,
            sharing: self.sharing,
            uid: self.uid,
            gid: self.gid,
            mode: self.mode,
            required: self.required,
            size: self.size,
            env: self.env,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<RunMount, String> {
        let mut expand = |value: &str| Ok(value.replace("$v", "value"));
        parse(value, Some(&mut expand)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cache_has_all_its_options() {
        let mount =
            read("type=cache,ID=$v,\"target=/a,b\",sharing=LOCKED,uid=1,gid=2,mode=0700,from=x,src=/s,ro")
                .unwrap();
        assert_eq!(mount.kind, MountKind::Cache);
        assert_eq!(
            (&mount.id[..], &mount.target[..], mount.sharing),
            ("value", "/a,b", Some(Sharing::Locked))
        );
        assert_eq!((mount.uid, mount.gid, mount.mode), (Some(1), Some(2), Some(0o700)));
        assert_eq!((&mount.from[..], &mount.source[..], mount.readonly), ("x", "/s", true));
    }

    #[test]
    fn a_steps_name_tells_its_caches() {
        let told = |title: &str| {
            let caches = caches_of(title).into_iter();
            caches.map(|cache| format!("{} {}", cache.key.id, cache.sharing)).collect::<Vec<_>>().join(", ")
        };
        let two = "RUN --mount=type=cache,target=/c/ --network=none --mount=type=cache,id=x,target=/d,sharing=locked make --mount=no";
        assert_eq!(told(two), "//c shared, /x locked");
        assert_eq!(told("RUN --mount=type=bind,target=/c make"), "");
        for none in ["RUN make", "COPY --from=a / /", "RUN --mount=nonsense x", "RUN", "", "RUN <<EOT"] {
            assert_eq!(told(none), "", "{none}");
        }
    }

    #[test]
    fn only_some_types_are_written_to() {
        for (kind, readonly) in [("bind", true), ("cache", false), ("tmpfs", false), ("ssh", true)] {
            assert_eq!(read(&format!("type={kind},target=/a")).unwrap().readonly, readonly, "{kind}");
        }
        assert!(!read("target=/a,rw").unwrap().readonly);
        assert!(!read("target=/a,ro=0").unwrap().readonly);
    }

    #[test]
    fn before_expansion_only_from_is_read() {
        let mount = parse("type=nonsense,from=x,$any,size=?", None).unwrap();
        assert_eq!((mount.kind, &mount.from[..]), (MountKind::Bind, "x"));
        assert!(parse("from=$x", None).is_err());
        assert!(parse("from=x$", None).is_ok());
        assert!(parse("", None).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for value in [
            "type=volume",
            "type=cache,sharing=some",
            "sharing=shared",
            "target",
            "size=1m",
            "required",
            "uid=1",
            "type=cache,uid=-1",
            "type=cache,mode=9",
            "type=secret",
            "type=secret,id=a,from=b",
            "type=secret,id=a,src=b",
            "type=secret,id=a,sharing=shared",
            "required,type=secret,id=a",
            "color=red",
        ] {
            assert!(read(value).is_err(), "{value}");
        }
        assert!(read("type=secret,id=a,required,env=").is_ok());
        assert_eq!(read("type=tmpfs,size=1k").unwrap().size, Some(1024));
    }
}
