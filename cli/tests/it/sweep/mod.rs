//! `ci-build sweep`: held against a naive model, under attack, in the deep, killed, and as scripts use it.

mod attack;
mod command;
mod deep;
mod disk;
mod ground;
mod install;
mod kill;
mod model;
mod naive;
mod swaps;
mod whole;
