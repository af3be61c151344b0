// Sigmoid, tanh and rounding, bit for bit as ONNX Runtime computes them.
//
// Both functions are quotients of polynomials by Horner's scheme, of the coefficients of Eigen, in
// fused multiply-adds. A float64 holds the product of two float32 exactly, so rounding the sum is
// a fused multiply-add but for one in 500 million, where float64 has rounded to a tie.

const round = Math.fround;
const HALF_EVEN = 12582912; // 1.5 * 2**23; a float32 of that size has no fraction

const TANH = {
  top: [
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8,
    1.48572235717979e-5, 6.37261928875436e-4, 4.89352455891786e-3,
  ].map(round),
  bottom: [1.19825839466702e-6, 1.18534705686654e-4, 2.268434632439e-3, 4.89352518554385e-3].map(
    round,
  ),
};

const SIGMOID = {
  top: [
    4.37031012579801e-11, 1.15627324459942e-7, 6.08574864600143e-5, 8.51377133304701e-3,
    2.48287947061529e-1,
  ].map(round),
  bottom: [
    6.10247389755681e-13, 5.76102136993427e-9, 6.2910678501704e-6, 1.70198817374094e-3,
    1.16817656904453e-1, 9.9315192102318e-1,
  ].map(round),
};

/** @param {number[]} coefficients The highest power first. @param {number} x */
function polynomial(coefficients, x) {
  let value = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) value = round(value * x + coefficients[i]);
  return value;
}

/** @param {number} x */
export function tanh(x) {
  const near = x < -9 ? -9 : x > 9 ? 9 : x;
  const square = round(near * near);
  const top = round(polynomial(TANH.top, square) * near);
  return round(top / polynomial(TANH.bottom, square));
}

/** @param {number} x */
export function sigmoid(x) {
  const near = x < -18 ? -18 : x > 18 ? 18 : x;
  const square = round(near * near);
  const top = round(polynomial(SIGMOID.top, square) * near);
  const value = round(round(top / polynomial(SIGMOID.bottom, square)) + 0.5);
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

/**
 * Return a number in units of a scale, from -128 to 127, rounded to the nearest, of two to the even.
 * @param {number} value @param {number} scale
 */
export function quantised(value, scale) {
  const whole = round(round(round(value / scale) + HALF_EVEN) - HALF_EVEN);
  return whole < -128 ? -128 : whole > 127 ? 127 : whole;
}
