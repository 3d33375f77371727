//! The pattern of a layer, the positions of its active weights: compressed sparse rows, tile by tile.

use std::ops::Range;

/// Columns of a tile: the inputs of 64 images in 128 columns take 32 KiB, which stay in the first-level cache while all
/// rows are computed.
const TILE_COLUMNS: usize = 128;

/// The smallest mean number of weights in a segment. With fewer, starting a segment costs more than the cache saves,
/// and all columns are one tile. Measured on the layer 784 → 300: 10 % of the weights are faster in several tiles, 4 %
/// in one.
const MIN_SEGMENT_WEIGHTS: usize = 10;

/// Column indices stored after the last one, so that four can always be read.
const PADDING: usize = 3;

/// A *pattern*: which weights of a matrix are active. Their order is by tile (a range of columns), then row, then
/// column; the index of a weight in this order is its position in arrays of weights and gradients. The weights in one
/// row of one tile are a *segment*; segments are ordered by tile, then row.
#[derive(Clone, Debug)]
pub(super) struct TiledCsr {
    /// Rows of the matrix.
    pub(super) rows: usize,
    /// The end of each segment among the weights: of all rows in the first tile, then of all rows in the second, and so
    /// on.
    pub(super) ends: Vec<u32>,
    /// The column of each weight, then [`PADDING`] columns that belong to no weight.
    columns: Vec<u32>,
}

impl Default for TiledCsr {
    /// Returns the pattern of a matrix without rows.
    fn default() -> Self {
        Self { rows: 0, ends: Vec::new(), columns: vec![0; PADDING] }
    }
}

impl TiledCsr {
    /// Returns the pattern of a matrix [rows, columns] whose active weights are the pairs (row, column) in `positions`,
    /// which may have any order; and for each weight of the pattern its index in `positions`.
    pub(super) fn new(rows: usize, columns: usize, positions: &[(u32, u32)]) -> (Self, Vec<u32>) {
        let is_tiled = positions.len() * TILE_COLUMNS >= MIN_SEGMENT_WEIGHTS * rows * columns;
        let tile_columns = if is_tiled { TILE_COLUMNS } else { columns.max(1) };
        let tiles = columns.div_ceil(tile_columns).max(1);
        let segment = |&(row, column): &(u32, u32)| column as usize / tile_columns * rows + row as usize;
        let mut order: Vec<u32> = (0..positions.len() as u32).collect();
        order.sort_by_key(|&k| (segment(&positions[k as usize]), positions[k as usize].1));
        let mut ends = vec![0; tiles * rows];
        for position in positions {
            ends[segment(position)] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let columns = order.iter().map(|&k| positions[k as usize].1).chain([0; PADDING]).collect();
        (Self { rows, ends, columns }, order)
    }

    /// Returns the number of active weights.
    pub(super) fn len(&self) -> usize {
        self.columns.len() - PADDING
    }

    /// Returns the index of a segment's first weight.
    #[inline(always)]
    pub(super) fn start(&self, segment: usize) -> usize {
        if segment == 0 { 0 } else { self.ends[segment - 1] as usize }
    }

    /// Returns the columns of the weights in `range`.
    #[inline(always)]
    pub(super) fn columns(&self, range: Range<usize>) -> &[u32] {
        &self.columns[range]
    }

    /// Returns the columns of four weights from index `first` on; columns past the last weight are arbitrary but valid.
    #[inline(always)]
    pub(super) fn index_quad(&self, first: usize) -> [u32; 4] {
        self.columns[first..].first_chunk().copied().unwrap_or_default()
    }

    /// Returns `parts` ranges of rows with about equal numbers of weights.
    pub(super) fn split_rows(&self, parts: usize) -> Vec<Range<usize>> {
        let row_length =
            |row: usize| (row..self.ends.len()).step_by(self.rows).map(|segment| self.length(segment)).sum::<usize>();
        split_evenly((0..self.rows).map(row_length), parts)
    }

    /// Returns `parts` ranges of segments with about equal numbers of weights.
    pub(super) fn split_segments(&self, parts: usize) -> Vec<Range<usize>> {
        split_evenly((0..self.ends.len()).map(|segment| self.length(segment)), parts)
    }

    /// Returns the number of weights of a segment.
    fn length(&self, segment: usize) -> usize {
        self.ends[segment] as usize - self.start(segment)
    }
}

/// Returns `parts` ranges of items with about equal sums of costs, where an item costs its size and 1 more. The ranges
/// follow each other without gaps and cover all items; some may be empty.
fn split_evenly(sizes: impl Iterator<Item = usize> + Clone, parts: usize) -> Vec<Range<usize>> {
    let total: usize = sizes.clone().map(|size| size + 1).sum();
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut items = 0;
    let mut sum = 0;
    for size in sizes {
        items += 1;
        sum += size + 1;
        while ranges.len() + 1 < parts && sum * parts >= total * (ranges.len() + 1) {
            ranges.push(start..items);
            start = items;
        }
    }
    ranges.resize(parts.saturating_sub(1), start..start);
    ranges.push(start..items);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiled_csr_orders_by_tile_then_row() {
        // [2, 300], dense enough for tiles of 128 columns.
        let positions: Vec<(u32, u32)> = (0..2).flat_map(|row| (0..300).map(move |column| (row, column))).collect();
        let (pattern, order) = TiledCsr::new(2, 300, &positions);
        assert_eq!(pattern.ends, [128, 256, 384, 512, 556, 600]);
        assert_eq!(order[..2], [0, 1]);
        assert_eq!(order[128..130], [300, 301], "the second row of the first tile");
        assert_eq!((pattern.columns(256..258), pattern.len()), (&[128, 129][..], 600));
        // 6 of 600 weights: one tile.
        let few = [(1, 299), (0, 0), (1, 0)];
        let (pattern, order) = TiledCsr::new(2, 300, &few);
        assert_eq!((&pattern.ends[..], &order[..]), (&[1, 3][..], &[1, 2, 0][..]));
        assert_eq!(pattern.index_quad(2), [299, 0, 0, 0]);
    }

    #[test]
    fn tiled_csr_may_be_empty() {
        let (pattern, order) = TiledCsr::new(3, 0, &[]);
        assert_eq!((pattern.len(), order.len(), &pattern.ends[..]), (0, 0, &[0, 0, 0][..]));
        assert_eq!((TiledCsr::default().len(), TiledCsr::default().split_rows(2)), (0, vec![0..0, 0..0]));
    }

    #[test]
    fn split_evenly_covers_every_item_once() {
        for parts in 1..6 {
            let ranges = split_evenly([5, 0, 0, 9, 1, 1, 30, 2].into_iter(), parts);
            assert_eq!(ranges.len(), parts);
            assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        }
        assert_eq!(split_evenly(std::iter::repeat_n(3, 10), 2), [0..5, 5..10]);
        assert_eq!(split_evenly(std::iter::empty(), 2), [0..0, 0..0]);
    }
}
