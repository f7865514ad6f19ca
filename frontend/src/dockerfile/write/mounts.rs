//! What a plan changes, as changes of flags.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::after::{self, Edge};
use super::flag::FlagText;
use super::layout::{Found, Layout};
use super::splice::{Splice, Text};
use super::{Edit, Meaning, Round, WriteError, error, gate};
use crate::dockerfile::paths::clean;
use crate::graph::{BuildGraph, CacheKey, CacheUse, Mount, MountRef, Sharing, StepIndex};
use crate::plan::Plan;

/// The variable that platforms differ in.
const PLATFORM: &str = "TARGETPLATFORM";

/// One plan, on its way into one text.
pub(super) struct Mounts<'m> {
    text: &'m Text,
    layout: &'m Layout<'m>,
    graph: &'m BuildGraph,
    /// What text can say of the plan.
    plan: Plan,
    splices: Vec<Splice>,
    edits: Vec<Edit>,
    expected: Vec<(u32, Meaning)>,
    /// Instructions that use the platform's variable, the first of each stage: by stage, and whether they are triggers.
    platforms: BTreeMap<(usize, bool), Found>,
}

/// What becomes of one flag: the same for all steps that it makes.
struct FlagEdit<'m> {
    span: Range<usize>,
    cache: &'m CacheKey,
    target: &'m str,
    is_locked: bool,
    /// What is put behind the id, by the step's platform.
    suffixes: BTreeSet<(Option<&'m str>, String)>,
}

impl<'m> Mounts<'m> {
    pub(super) fn new(text: &'m Text, layout: &'m Layout<'m>, graph: &'m BuildGraph, plan: &Plan) -> Self {
        let mut plan = plan.clone();
        // Text cannot permute locks: gates do what that is for.
        plan.edits.values_mut().for_each(|edit| edit.order = None);
        let (splices, edits, expected) = Default::default();
        Self { text, layout, graph, plan, splices, edits, expected, platforms: BTreeMap::new() }
    }

    fn line(&self, span: &Range<usize>) -> u32 {
        self.layout.line(span.start)
    }

    fn edit(&mut self, line: u32, cache: &CacheKey, what: String) {
        let line = self.text.original(line);
        self.edits.push(Edit { line, cache: cache.to_string(), what });
    }

    /// The cache of a mount as it will be.
    fn planned(&self, at: MountRef) -> Option<&CacheUse> {
        let planned = self.plan.edits.get(&at.step).and_then(|edit| edit.caches.get(&at.mount));
        planned.or(self.graph.mount(at).cache.as_ref())
    }

    /// The order of steps as an order of stages. A cache whose users it cannot put in order is locked instead.
    pub(super) fn order(&mut self) -> Vec<Edge> {
        let mut edges = Vec::new();
        let mut locked = BTreeSet::new();
        let is_possible = after::is_possible(self.layout);
        for (step, edit) in &self.plan.edits {
            for (mount, before) in &edit.after {
                let at = MountRef { step: *step, mount: *mount };
                let Some(cache) = self.planned(at) else { continue };
                // Names of their own may have parted them.
                let is_user = |step: &&StepIndex| {
                    let mut caches = self.graph.step(**step).caches();
                    caches.any(|(mount, ..)| {
                        let other = self.planned(MountRef { step: **step, mount });
                        other.is_some_and(|other| other.key == cache.key)
                    })
                };
                for before in before.iter().filter(is_user) {
                    match self.edge(at, *before).filter(|_| is_possible) {
                        Some(edge) => edges.push((at, cache.key.clone(), edge)),
                        None => _ = locked.insert(cache.key.clone()),
                    }
                }
            }
        }
        edges.retain(|(_, key, _)| !locked.contains(key));
        self.lock(&locked);
        for (at, _, edge) in &edges {
            let stage = self.layout.stages[edge.before].display(edge.before);
            if let Mount { span: Some(span), cache: Some(cache), .. } = self.graph.mount(*at) {
                self.edit(self.line(span), &cache.key, format!("after stage {stage}"));
            }
        }
        edges.into_iter().map(|(.., edge)| edge).collect()
    }

    fn edge(&self, at: MountRef, before: StepIndex) -> Option<Edge> {
        let stage = |step| self.layout.stage_at(self.graph.step(step).location.as_ref()?.line);
        let span = self.graph.mount(at).span.as_ref()?;
        let found = self.layout.flag(span.start)?;
        let before = stage(before)?;
        let is_later = before < found.stage && !found.is_trigger;
        is_later.then_some(Edge { before, stage: found.stage, number: found.number, at: span.end })
    }

    fn lock(&mut self, keys: &BTreeSet<CacheKey>) {
        for (step, index) in self.graph.steps().map(|(index, step)| (step, index)) {
            for (mount, ..) in step.caches() {
                let planned = self.planned(MountRef { step: index, mount });
                if let Some(cache) = planned.filter(|cache| keys.contains(&cache.key)) {
                    let cache = CacheUse { key: cache.key.clone(), sharing: Sharing::Locked };
                    self.plan.edits.entry(index).or_default().caches.insert(mount, cache);
                }
            }
        }
    }

    /// Sharing modes and ids.
    pub(super) fn caches(&mut self) -> Result<(), WriteError> {
        let mut flags = BTreeMap::<usize, FlagEdit<'m>>::new();
        let mut expected = Vec::new();
        for (index, edit) in &self.plan.edits {
            let step = self.graph.step(*index);
            for (place, new) in &edit.caches {
                let mount = &step.mounts[*place];
                let (Some(span), Some(old)) = (&mount.span, &mount.cache) else { continue };
                if new == old {
                    continue;
                }
                let line = self.line(span);
                let meaning = (step.platform.clone(), mount.target.clone(), new.key.id.clone(), new.sharing);
                expected.push((span.start, line, meaning));
                let flag = flags.entry(span.start).or_insert_with(|| FlagEdit {
                    span: span.clone(),
                    cache: &old.key,
                    target: &mount.target,
                    is_locked: false,
                    suffixes: BTreeSet::new(),
                });
                flag.is_locked |= new.sharing == Sharing::Locked && old.sharing != Sharing::Locked;
                match new.key.id.strip_prefix(&old.key.id) {
                    Some(suffix) => _ = flag.suffixes.insert((step.platform.as_deref(), suffix.to_owned())),
                    None => return Err(self.unclear(line)),
                }
            }
        }
        for (flag, line, mut meaning) in expected {
            if flags.get(&flag).is_some_and(|flag| flag.is_locked) {
                meaning.3 = Sharing::Locked;
            }
            self.expected.push((line, meaning));
        }
        flags.into_values().try_for_each(|flag| self.flag(&flag))
    }

    fn unclear(&self, line: u32) -> WriteError {
        error(self.text, line, "the mount is written in a way that cannot be changed safely".to_owned())
    }

    fn flag(&mut self, edit: &FlagEdit<'_>) -> Result<(), WriteError> {
        let line = self.line(&edit.span);
        let read = FlagText::read(self.layout.source, edit.span.clone(), self.layout.escape);
        let flag = read.ok_or_else(|| self.unclear(line))?;
        if let Some(suffix) = self.suffix(edit)? {
            if suffix.contains(PLATFORM) {
                self.need_platform(edit.span.start);
            }
            let (splices, old) = match flag.option("id") {
                Some(id) if !id.is_empty() => (flag.extend("id", &suffix), id.to_owned()),
                id => {
                    let target =
                        ["target", "dst", "destination"].into_iter().find_map(|name| flag.option(name));
                    let target = target.unwrap_or(edit.target);
                    // What is expanded there is expanded here.
                    let is_plain = !target.contains(['$', '\'', '"', self.layout.escape]);
                    let default = if is_plain { clean(target) } else { target.to_owned() };
                    let new = format!("{default}{suffix}");
                    let splices = match id {
                        Some(_) => flag.set("id", &new),
                        None => flag.append(&format!("id={new}")),
                    };
                    (Some(splices), default)
                }
            };
            self.splices.extend(splices.ok_or_else(|| self.unclear(line))?);
            self.edit(line, edit.cache, format!("id={old}{suffix}"));
        }
        if edit.is_locked {
            self.splices.extend(flag.set("sharing", Sharing::Locked.name()));
            self.edit(line, edit.cache, format!("sharing={}", Sharing::Locked));
        }
        Ok(())
    }

    /// What the id gets, in text: what differs from platform to platform becomes a variable.
    fn suffix(&self, edit: &FlagEdit<'_>) -> Result<Option<String>, WriteError> {
        let literal: BTreeSet<_> = edit.suffixes.iter().map(|(_, suffix)| suffix).collect();
        if literal.len() < 2 {
            return Ok(literal.first().map(|suffix| (*suffix).clone()).filter(|suffix| !suffix.is_empty()));
        }
        let variable = edit.suffixes.iter().map(|(platform, suffix)| match platform {
            Some(platform) => suffix.replacen(&format!("@{platform}"), &format!("@${{{PLATFORM}}}"), 1),
            None => suffix.clone(),
        });
        let variable: BTreeSet<_> = variable.collect();
        if variable.len() > 1 {
            let message = format!("one mount of the cache {} would need several names at once", edit.cache);
            return Err(error(self.text, self.line(&edit.span), message));
        }
        Ok(variable.into_iter().next())
    }

    fn need_platform(&mut self, flag: usize) {
        let Some(found) = self.layout.flag(flag) else { return };
        let first = self.platforms.entry((found.stage, found.is_trigger)).or_insert(found);
        if found.number < first.number {
            *first = found;
        }
    }

    /// One more cache for the steps whose locks would otherwise be taken in conflicting orders.
    pub(super) fn gates(&mut self) -> Result<(), WriteError> {
        let planned = self.plan.apply(self.graph);
        for gate in gate::find(&planned) {
            let mut instructions = BTreeMap::new();
            for step in &gate.steps {
                let step = self.graph.step(*step);
                if let Some(instruction) = gate::instruction(step) {
                    instructions.entry(instruction).or_insert(step);
                }
            }
            for step in instructions.into_values() {
                let spans =
                    step.caches().filter_map(|(_, mount, cache)| Some((mount.span.as_ref()?, &cache.key)));
                let Some((span, key)) = spans.max_by_key(|(span, _)| span.end) else { continue };
                if step.caches().any(|(_, _, cache)| gate::is_gate(&cache.key)) {
                    continue;
                }
                let line = self.line(span);
                let message = "no target of a gate comes before all targets of this step".to_owned();
                let target = gate::target(step).ok_or_else(|| error(self.text, line, message))?;
                let suffix = if gate.by_platform { format!("@${{{PLATFORM}}}") } else { String::new() };
                if gate.by_platform {
                    self.need_platform(span.start);
                }
                let id = &gate.id;
                let mount = format!(" --mount=type=cache,id={id}{suffix},target={target},sharing=locked");
                self.splices.push(Splice::insert(span.end, mount));
                self.edit(line, key, format!("one at a time, by the lock of {id}"));
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, edges: &[Edge], by_platform: bool) -> Round {
        self.splices.extend(after::write(self.layout, edges, by_platform));
        for found in self.platforms.values().filter(|found| !self.layout.declares(**found, PLATFORM)) {
            let at = self.layout.end_before(found.stage, found.number);
            let trigger = if found.is_trigger { "ONBUILD " } else { "" };
            let line = format!("{trigger}ARG {PLATFORM}{}", self.layout.newline(at));
            self.splices.push(Splice::insert(at, line));
        }
        Round { splices: self.splices, edits: self.edits, expected: self.expected }
    }
}
