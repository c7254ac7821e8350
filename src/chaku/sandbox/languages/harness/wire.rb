# Values on descriptor 3: a letter, a length, then the text or the items. Plain data only.
module ChakuWire
  LARGEST = 64 * 2**20
  CHANNEL = IO.for_fd(3, "r+b", autoclose: false)
  CHANNEL.sync = true
  PLAIN = { nil => "n", true => "t", false => "f" }.freeze

  def self.write(value)
    case value
    when nil, true, false then "#{PLAIN[value]}0\n"
    when Integer then text("i", value.to_s)
    when Float then text("d", [value].pack("G"))
    when Symbol then text("y", value.to_s)
    when String then text(value.encoding == Encoding::BINARY ? "b" : "s", value)
    when Array then "a#{value.size}\n#{value.map { |item| write(item) }.join}"
    when Hash then "h#{value.size}\n#{value.map { |key, item| write(key) + write(item) }.join}"
    else raise TypeError, "a value is not plain data: #{value.class}"
    end
  end

  def self.text(kind, value)
    "#{kind}#{value.bytesize}\n".b + value.b
  end

  def self.read
    kind, size = CHANNEL.gets.to_s.match(/\A([ntfidysbah])(\d{1,9})\n\z/)&.captures
    size = size.to_i
    raise IOError, "the other process does not answer" if kind.nil? || size > LARGEST
    case kind
    when "n" then nil
    when "t" then true
    when "f" then false
    when "a" then Array.new(size) { read }
    when "h" then size.times.to_h { [read, read] }
    else
      data = CHANNEL.read(size).to_s
      raise IOError, "the other process does not answer" if data.bytesize != size
      case kind
      when "i" then Integer(data, 10)
      when "d" then data.unpack1("G")
      when "y" then data.force_encoding("UTF-8").to_sym
      when "s" then data.force_encoding("UTF-8")
      else data
      end
    end
  end

  def self.send_values(*values)
    CHANNEL.write(write(values).b)
  end
end
