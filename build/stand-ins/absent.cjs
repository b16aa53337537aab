// For a module whose feature this service does not use: any use of it throws.
module.exports = absent
module.exports.define = () => absent

function absent() {
  throw new Error('This feature of a package was left out of the bundle, see build/bundle.ts')
}
