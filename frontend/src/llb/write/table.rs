//! All vertices of a build as the plan has it: the ops of all definitions, each once, and those that the plan adds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Index;

use super::WriteError;
use super::gate::Gate;
use super::primer::{Primer, PrimerImage};
use super::token::Token;
use crate::graph::{BuildGraph, StepIndex};
use crate::llb::definition::{Definition, Digest, Vertex};
use crate::llb::ours::Role;
use crate::plan::{Plan, StepEdit};

/// A vertex.
#[derive(Debug)]
pub(super) enum Row<'a> {
    /// An op of the build.
    Original(Original<'a>),
    /// What somebody waits for.
    Token(Token),
    /// The image that the primer runs in.
    Image(&'a PrimerImage),
    /// What prepares caches.
    Primer(Primer<'a>),
}

/// An op of the build, and what is done to it.
#[derive(Debug)]
pub(super) struct Original<'a> {
    /// The first definition that holds it, and its place among all.
    pub definition: (usize, &'a Definition),
    pub vertex: &'a Vertex,
    pub edit: Option<&'a StepEdit>,
    pub gate: Option<Gate>,
}

impl<'a> Original<'a> {
    /// The op as it was received.
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.definition.1.bytes()[self.vertex.span.clone()]
    }

    pub(super) fn unknown_kind(&self) -> WriteError {
        let name = self.definition.1.name_of(&self.vertex.digest).unwrap_or("no name").to_owned();
        WriteError::UnknownKind { op: self.vertex.digest.clone(), name }
    }

    /// Which of its results to look into to see that it has ended: the root of a command, and whatever else has but one.
    pub(super) fn output(&self) -> Result<u64, WriteError> {
        let Some(exec) = &self.vertex.op.exec else { return Ok(0) };
        let outputs = exec.mounts.iter().filter_map(|mount| u64::try_from(mount.output).ok());
        outputs.min().ok_or_else(|| WriteError::NoResult(self.vertex.digest.clone()))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Table<'a> {
    rows: Vec<Row<'a>>,
    /// What each of them comes after: of an original its inputs, one by one, and then its token.
    needs: Vec<Vec<usize>>,
    by_digest: HashMap<&'a str, usize>,
}

impl<'a> Table<'a> {
    pub(super) fn of(definitions: &'a [Definition]) -> Self {
        let mut table = Self { rows: Vec::new(), needs: Vec::new(), by_digest: HashMap::new() };
        for definition in definitions.iter().enumerate() {
            let mut added = Vec::new();
            for vertex in &definition.1.vertices {
                table.by_digest.entry(vertex.digest.as_str()).or_insert_with(|| {
                    added.push(table.rows.len());
                    table.rows.push(Row::Original(Original { definition, vertex, edit: None, gate: None }));
                    added[added.len() - 1]
                });
            }
            for row in added {
                let Row::Original(original) = &table.rows[row] else { continue };
                let inputs = original.vertex.inputs.iter();
                let inputs =
                    inputs.map(|input| table.by_digest[definition.1.vertices[*input].digest.as_str()]);
                table.needs.push(inputs.collect());
            }
        }
        table
    }

    /// Takes down what the plan changes in the ops.
    pub(super) fn edit(&mut self, graph: &BuildGraph, plan: &'a Plan) -> Result<(), WriteError> {
        for (step, edit) in &plan.edits {
            let row = self.row_of(graph, *step)?;
            if let Row::Original(original) = &mut self.rows[row] {
                original.edit = Some(edit);
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, row: Row<'a>, needs: Vec<usize>) -> usize {
        self.rows.push(row);
        self.needs.push(needs);
        self.rows.len() - 1
    }

    /// Has an op wait at a gate.
    pub(super) fn gate(&mut self, row: usize, gate: Gate) {
        self.needs[row].push(gate.token);
        if let Row::Original(original) = &mut self.rows[row] {
            original.gate = Some(gate);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row_of_digest(&self, digest: &Digest) -> Option<usize> {
        self.by_digest.get(digest.as_str()).copied()
    }

    pub(super) fn row_of(&self, graph: &BuildGraph, step: StepIndex) -> Result<usize, WriteError> {
        let id = &graph.step(step).id;
        self.by_digest.get(&**id).copied().ok_or_else(|| WriteError::NoSuchStep(id.clone()))
    }

    /// The op of a step.
    pub(super) fn step(
        &self,
        graph: &BuildGraph,
        step: StepIndex,
    ) -> Result<(usize, &Original<'a>), WriteError> {
        let row = self.row_of(graph, step)?;
        match &self.rows[row] {
            Row::Original(original) => Ok((row, original)),
            _ => Err(WriteError::NoSuchStep(graph.step(step).id.clone())),
        }
    }

    /// The ops of the build, in the order of the definitions.
    pub(super) fn originals(&self) -> impl Iterator<Item = (usize, &Original<'a>)> {
        self.rows.iter().enumerate().filter_map(|(row, of)| match of {
            Row::Original(original) => Some((row, original)),
            _ => None,
        })
    }

    /// What a vertex comes after.
    pub(super) fn needs(&self, row: usize) -> &[usize] {
        &self.needs[row]
    }

    /// The place among an op's inputs of a token, or of a primer, that it got before.
    pub(super) fn token_of(&self, row: usize) -> Option<usize> {
        let is_token = |input: &usize| match &self.rows[*input] {
            Row::Original(input) => {
                let role = input.definition.1.role_of(&input.vertex.digest);
                matches!(role, Some(Role::Token | Role::Primer))
            }
            _ => false,
        };
        self.needs[row].iter().position(is_token)
    }

    /// All rows, each after those that it needs.
    pub(super) fn in_order(&self) -> Result<Vec<usize>, WriteError> {
        let mut dependents = vec![Vec::new(); self.len()];
        let mut missing: Vec<_> = self.needs.iter().map(Vec::len).collect();
        for (row, needs) in self.needs.iter().enumerate() {
            for needed in needs {
                dependents[*needed].push(row);
            }
        }
        let mut order: Vec<_> = (0..self.len()).filter(|row| missing[*row] == 0).collect();
        let mut next = 0;
        while let Some(row) = order.get(next).copied() {
            next += 1;
            for dependent in &dependents[row] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    order.push(*dependent);
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(WriteError::Cycle) }
    }

    /// The ops as they were received, and nothing yet for those that are added.
    pub(super) fn ops(&self) -> Ops<'a> {
        let op = |row: &Row<'a>| match row {
            Row::Original(original) => {
                Op { bytes: Cow::Borrowed(original.bytes()), digest: original.vertex.digest.clone() }
            }
            _ => Op { bytes: Cow::Borrowed(&[]), digest: Digest::of(&[]) },
        };
        Ops(self.rows.iter().map(op).collect())
    }
}

impl<'a> Index<usize> for Table<'a> {
    type Output = Row<'a>;

    fn index(&self, row: usize) -> &Row<'a> {
        &self.rows[row]
    }
}

/// The encoded ops, by row.
#[derive(Debug)]
pub(super) struct Ops<'a>(Vec<Op<'a>>);

#[derive(Debug)]
struct Op<'a> {
    bytes: Cow<'a, [u8]>,
    digest: Digest,
}

impl<'a> Ops<'a> {
    /// Gives an op new bytes, and with them a new digest.
    pub(super) fn set(&mut self, row: usize, bytes: Cow<'a, [u8]>) {
        if self.0[row].bytes != bytes {
            self.0[row] = Op { digest: Digest::of(&bytes), bytes };
        }
    }

    pub(super) fn bytes(&self, row: usize) -> &[u8] {
        &self.0[row].bytes
    }

    pub(super) fn digest(&self, row: usize) -> &Digest {
        &self.0[row].digest
    }
}
