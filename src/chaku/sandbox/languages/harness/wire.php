// Messages on descriptor 3: four bytes of length, then what `serialize` writes. Objects do not cross: plain data only.
final class ChakuWire
{
    private const LARGEST = 64 << 20;
    private static $channel;

    static function open(): void
    {
        self::$channel = fopen('php://fd/3', 'r+b');
        stream_set_read_buffer(self::$channel, 0);
        stream_set_write_buffer(self::$channel, 0);
    }

    static function send(array $message): void
    {
        $data = serialize($message);
        $data = pack('V', strlen($data)) . $data;
        for ($sent = 0; $sent < strlen($data);) {
            $more = fwrite(self::$channel, substr($data, $sent));
            if (!$more) throw new Exception('the other process does not answer');
            $sent += $more;
        }
    }

    static function receive(): array
    {
        $size = unpack('V', self::read(4))[1];
        if ($size > self::LARGEST) throw new Exception('a message is too large');
        $message = unserialize(self::read($size), ['allowed_classes' => false]);
        if (!is_array($message)) throw new Exception('the other process does not answer');
        return $message;
    }

    private static function read(int $size): string
    {
        $data = '';
        while (strlen($data) < $size) {
            $more = fread(self::$channel, $size - strlen($data));
            if ($more === false || $more === '') throw new Exception('the other process does not answer');
            $data .= $more;
        }
        return $data;
    }
}
ChakuWire::open();
