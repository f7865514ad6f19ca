//! Things that are made from one another: who comes before whom.

/// An order of the nodes `0..parents.len()` in which each comes before its parents. Nodes of a cycle, which no engine
/// tells of, are left out. Linear.
pub(super) fn children_first(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut children = vec![0_usize; parents.len()];
    for &parent in parents.iter().flatten() {
        children[parent] += 1;
    }
    let mut order: Vec<usize> = (0..parents.len()).filter(|&node| children[node] == 0).collect();
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        next += 1;
        for &parent in &parents[node] {
            children[parent] -= 1;
            if children[parent] == 0 {
                order.push(parent);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_first_and_cycles_not_at_all() {
        assert_eq!(children_first(&[vec![1], vec![2], vec![]]), [0, 1, 2]);
        assert_eq!(children_first(&[vec![], vec![0], vec![0, 1]]), [2, 1, 0]);
        assert_eq!(children_first(&[vec![1], vec![0], vec![]]), [2]);
    }
}
