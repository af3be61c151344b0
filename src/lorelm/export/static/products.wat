;; Products of int8 matrices with the operand of one text, in whole numbers. tests/export/static
;; assembles this file and compares the result with products.wasm.
(module
  (import "lorelm" "memory" (memory 1))

  ;; sums[r] = sum over k of weights[r, k] * operand[k], for `rows` rows of `width` weights.
  ;; The operand has 16 bits a number, as `dot` takes them. Both lengths are padded: the rows to a
  ;; multiple of four, which are computed together so that the additions need not wait for one
  ;; another, and the width to a multiple of eight.
  (func (export "multiply")
    (param $weights i32) (param $operand i32) (param $sums i32) (param $rows i32)
    (param $width i32)
    (local $row_0 i32) (local $row_1 i32) (local $row_2 i32) (local $row_3 i32)
    (local $k i32) (local $end i32) (local $numbers v128)
    (local $sum_0 v128) (local $sum_1 v128) (local $sum_2 v128) (local $sum_3 v128)
    (local.set $end
      (i32.add (local.get $operand) (i32.shl (local.get $width) (i32.const 1))))
    (loop $four_rows
      (local.set $row_0 (local.get $weights))
      (local.set $row_1 (i32.add (local.get $row_0) (local.get $width)))
      (local.set $row_2 (i32.add (local.get $row_1) (local.get $width)))
      (local.set $row_3 (i32.add (local.get $row_2) (local.get $width)))
      (local.set $weights (i32.add (local.get $row_3) (local.get $width)))
      (local.set $sum_0 (v128.const i32x4 0 0 0 0))
      (local.set $sum_1 (v128.const i32x4 0 0 0 0))
      (local.set $sum_2 (v128.const i32x4 0 0 0 0))
      (local.set $sum_3 (v128.const i32x4 0 0 0 0))
      (local.set $k (local.get $operand))
      (loop $eight_columns
        (local.set $numbers (v128.load (local.get $k)))
        (local.set $sum_0 (i32x4.add (local.get $sum_0)
          (i32x4.dot_i16x8_s (local.get $numbers) (v128.load8x8_s (local.get $row_0)))))
        (local.set $sum_1 (i32x4.add (local.get $sum_1)
          (i32x4.dot_i16x8_s (local.get $numbers) (v128.load8x8_s (local.get $row_1)))))
        (local.set $sum_2 (i32x4.add (local.get $sum_2)
          (i32x4.dot_i16x8_s (local.get $numbers) (v128.load8x8_s (local.get $row_2)))))
        (local.set $sum_3 (i32x4.add (local.get $sum_3)
          (i32x4.dot_i16x8_s (local.get $numbers) (v128.load8x8_s (local.get $row_3)))))
        (local.set $row_0 (i32.add (local.get $row_0) (i32.const 8)))
        (local.set $row_1 (i32.add (local.get $row_1) (i32.const 8)))
        (local.set $row_2 (i32.add (local.get $row_2) (i32.const 8)))
        (local.set $row_3 (i32.add (local.get $row_3) (i32.const 8)))
        (local.set $k (i32.add (local.get $k) (i32.const 16)))
        (br_if $eight_columns (i32.lt_u (local.get $k) (local.get $end))))
      ;; Each sum is in four parts. Add the upper halves to the lower ones, of two rows at once,
      ;; then the odd parts to the even ones, of all four.
      (local.set $sum_0 (i32x4.add
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (local.get $sum_0) (local.get $sum_1))
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
          (local.get $sum_0) (local.get $sum_1))))
      (local.set $sum_2 (i32x4.add
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (local.get $sum_2) (local.get $sum_3))
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
          (local.get $sum_2) (local.get $sum_3))))
      (v128.store (local.get $sums) (i32x4.add
        (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
          (local.get $sum_0) (local.get $sum_2))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
          (local.get $sum_0) (local.get $sum_2))))
      (local.set $sums (i32.add (local.get $sums) (i32.const 16)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 4)))
      (br_if $four_rows (i32.gt_s (local.get $rows) (i32.const 0))))))
