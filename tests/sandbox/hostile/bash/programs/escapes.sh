# failed: nothing could be done
for folder in / /usr /etc /root /proc /dev; do
    touch "$folder/left" && exit 0
done
rm -rf /usr/share 2>/dev/null
[[ -e /usr/share ]] || exit 0
kill -9 "$PPID" && exit 0
echo x > /dev/tcp/192.0.2.1/53 && exit 0
echo x > /dev/udp/192.0.2.1/53 && exit 0
ln -s /usr/left link && echo x > link && exit 0
echo "nothing could be done" >&2
exit 3
