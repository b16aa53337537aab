module.exports = (value, message) => {
  if (!value) throw new Error(message)
}
